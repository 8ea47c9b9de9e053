"""Modules that can be called: `bertlab.study` is a room of the package, and the function of the API of its name."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A module that is the function of its name in bertlab.api when it is called."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        return getattr(import_module("bertlab.api"), self.__name__.rpartition(".")[2])(*given, **named)


def make_callable(module: str) -> None:
    """Have an imported module be callable."""
    sys.modules[module].__class__ = _Callable
