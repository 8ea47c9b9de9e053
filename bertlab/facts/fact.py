"""A fact: a question, its answer in words, its numbers, and how to repeat it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One section of the page of facts; sentences are based on `numbers`, which a test checks."""

    claim: str  # its name in the catalogue
    question: str
    answer: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    how: str
    test: str  # of tests/facts
    numbers: Mapping[str, float]


def below(error: float, limit: float) -> str:
    """Write a rounding error as a bound if it is below it, so that all machines write the same text."""
    return f"below {limit:.0e}" if error < limit else f"{error:.0e}"
