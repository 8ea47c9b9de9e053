"""Cases of a test that take long."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but(fast: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """Return cases for `parametrize` of one name: those of `fast` run by default, the others with what is slow."""
    quick = list(fast)
    found = [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]
    assert sum(case in quick for case in found) == len(quick), f"a case of {quick} is none of the cases"
    return found
