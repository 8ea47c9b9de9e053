"""The table of all measures of the common evaluation: runs log them as `eval/<name>`; studies are judged by them.

Rows are those of measures.csv. They define the possible outcomes of a study, the words and directions in tables and
figures, and docs/measures.md. A name may have variable parts, such as `<rate>`; a part in brackets is optional.
"""

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TABLE = Path(__file__).with_suffix(".csv")
PREFIX = "eval/"
NUMBER, WHOLE = r"\d+(?:\.\d+)?", r"\d+"
PLACES = {  # allowed values of a variable part
    "rate": NUMBER,
    "percent": NUMBER,
    "k": WHOLE,
    "n": WHOLE,
    "from": WHOLE,
    "to": WHOLE,
    "task": r"[A-Za-z0-9][\w-]*",
    "correlation": "pearson|spearman|matthews",
    "score": r"accuracy|exact|\w+_f1",
    "source": "items|seeds",
}


@dataclass(frozen=True)
class Measure:
    """One measure and how to read it."""

    name: str
    unit: str  # nats, share or ln_tokens
    lower_is_better: bool
    function: str  # of `bertlab.evaluation`, which measures it; empty: it is read from the curve
    words: str  # its name in figures and tables
    about: str = ""  # more for the documentation
    needs: str = ""  # the key, or another condition for measuring it
    curve: bool = False  # whether it is measured during a run, not only at its end
    judges: bool = True  # whether a study may be judged by it; not a reference value or a standard error

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Regular expression for the full name of a metric."""
        text = re.escape(PREFIX + self.name).replace(r"\[", "(?:").replace(r"\]", ")?")
        for place, values in PLACES.items():
            text = text.replace(f"<{place}>", f"(?:{values})")
        return re.compile(text)

    @property
    def is_one(self) -> bool:
        """Whether the name has no variable part, so that it is one metric."""
        return not set("<[") & set(self.name)


def _read() -> tuple[Measure, ...]:
    with TABLE.open(encoding="utf-8", newline="") as rows:
        return tuple(_measure(**row) for row in csv.DictReader(rows))


def _measure(*, better: str, curve: str, **cells: str) -> Measure:
    return Measure(lower_is_better=better == "lower", curve=curve == "yes", judges=bool(better), **cells)


MEASURES = _read()


def measure_of(metric: str) -> Measure | None:
    """Return the measure of a metric by its full name, such as `eval/mlm_loss`; None if there is none."""
    return next((each for each in MEASURES if each.pattern.fullmatch(metric)), None)
