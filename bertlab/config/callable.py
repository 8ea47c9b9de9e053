"""Callable modules: `bertlab.study` is a package and also the API function of that name; so are `sweep` and `run`."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A module that calls the function of the same name in bertlab.api."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        return getattr(import_module("bertlab.api"), self.__name__.rpartition(".")[2])(*given, **named)


def make_callable(module: str) -> None:
    """Make an imported module callable."""
    sys.modules[module].__class__ = _Callable
