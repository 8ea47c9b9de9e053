"""Marks of verdicts: each has its own colour and shape, so that either one identifies it.

Enters: a judged comparison. Leaves: a `Mark`, and its words in a legend.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bertlab.report.draw import NAMED
from bertlab.report.layout import GREY
from bertlab.report.words import listing
from bertlab.stats.rule import Kind
from bertlab.stats.verdict import NOT_COMPARED
from bertlab.study.judge import Judged


@dataclass(frozen=True)
class Mark:
    """A dot of a figure; `shape` is one of matplotlib's markers."""

    colour: str
    shape: str
    words: str
    hollow: bool = False


BETTER = Mark(NAMED[0], "^", "blue triangle that points up: better")
WORSE = Mark("#C24F00", "v", "orange triangle that points down: worse")
SAME = Mark(NAMED[2], "s", "green square: equivalent")
OPEN = Mark(GREY, "o", "grey circle: open")
NOT_JUDGED = Mark(GREY, "X", "grey cross: not compared")
EXPLORATORY = Mark(GREY, "D", "hollow diamond: the claim does not speak of it", hollow=True)
EXPLORED = Mark(NAMED[0], "D", "blue diamond: the difference, of which nothing was claimed")


def mark_of(judged: Judged) -> Mark:
    """Return the mark of a comparison."""
    kind = judged.verdict.kind
    if judged.expects is None:
        return EXPLORATORY
    if kind in NOT_COMPARED - {Kind.UNSTABLE}:
        return NOT_JUDGED
    if kind is Kind.EQUIVALENT:
        return SAME
    sides = {"BETTER": BETTER, "WORSE": WORSE, "UNSTABLE": WORSE}
    return next((mark for name, mark in sides.items() if kind.name.startswith(name)), OPEN)


def legend(marks: Iterable[Mark]) -> str:
    """Explain the marks of a figure."""
    words = listing(dict.fromkeys(mark.words for mark in marks))
    return f"{words[0].upper()}{words[1:]}."
