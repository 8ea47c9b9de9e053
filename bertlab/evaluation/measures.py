"""The table of all measures of the common evaluation: runs log them as `eval/<name>`, studies are judged by them.

The rows are those of measures.csv. From one row derive what a study may name as its outcome, the words and the
direction in tables and figures, and docs/measures.md. A name has places for what varies, as `<rate>`; a part in
brackets may be missing.
"""

import csv
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TABLE = Path(__file__).with_suffix(".csv")
PREFIX = "eval/"
NUMBER, WHOLE = r"\d+(?:\.\d+)?", r"\d+"
PLACES = {  # what may stand at a place of a name
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
    """What one measure is, and how to read it."""

    name: str
    unit: str  # nats, share or ln_tokens
    lower_is_better: bool
    function: str  # of `bertlab.evaluation`, that takes it; empty: it is read from the curve
    words: str  # what figures and tables say
    about: str = ""  # what documentation adds
    needs: str = ""  # the key, or what else must be there for it to be taken
    curve: bool = False  # whether it is followed along a run, not taken at its end alone
    judges: bool = True  # whether a study may be judged by it; not by a reference or by an error

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the whole name of a metric matches."""
        text = re.escape(PREFIX + self.name).replace(r"\[", "(?:").replace(r"\]", ")?")
        for place, values in PLACES.items():
            text = text.replace(f"<{place}>", f"(?:{values})")
        return re.compile(text)

    @property
    def is_one(self) -> bool:
        """Whether the name has no places: it is one metric."""
        return not set("<[") & set(self.name)


def _read() -> tuple[Measure, ...]:
    with TABLE.open(encoding="utf-8", newline="") as rows:
        return tuple(_measure(**row) for row in csv.DictReader(rows))


def _measure(*, better: str, curve: str, **cells: str) -> Measure:
    return Measure(lower_is_better=better == "lower", curve=curve == "yes", judges=bool(better), **cells)


MEASURES = _read()


def measure_of(metric: str) -> Measure | None:
    """Return the row of a metric by its whole name, as `eval/mlm_loss`; None where there is none."""
    return next((each for each in MEASURES if each.pattern.fullmatch(metric)), None)
