"""What a fact is: a question, its answer in words, the numbers behind it, and how to see it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One section of the page of facts; `numbers` are what the words rest on and what a test asserts."""

    claim: str  # its name in the catalogue
    question: str
    answer: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    how: str
    test: str  # of tests/facts
    numbers: Mapping[str, float]


def below(error: float, limit: float) -> str:
    """Write an error that rounding makes: as a bound where it holds, so that all machines write the same."""
    return f"below {limit:.0e}" if error < limit else f"{error:.0e}"
