"""Names of settings for readers: on axes, in titles and in captions. Rows are those of settings.csv.

Enters: the key of a setting that arms change, such as `mask.rate`. Leaves: its name and unit; of other keys, such as a
user's own, the key itself. Names of measures are in bertlab/evaluation/measures.csv.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Setting:
    """One setting: `words` follow "the" in a sentence; the unit may be empty."""

    key: str
    words: str
    unit: str = ""

    @property
    def axis(self) -> str:
        """The title of an axis."""
        return f"{self.words} ({self.unit})" if self.unit else self.words


@cache
def settings() -> dict[str, Setting]:
    """Return all settings with names, by key."""
    with TABLE.open(encoding="utf-8", newline="") as rows:
        return {row["key"]: Setting(**row) for row in csv.DictReader(rows)}


def setting_of(key: str) -> Setting:
    """Return a setting by its key."""
    return settings().get(key, Setting(key, key))
