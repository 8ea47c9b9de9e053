"""Parts of a task: rows for training (`train`), for model selection and early stopping (`valid`), for scores (`test`).

Separate files define the parts. For one file a column `split` defines them, or else rows are drawn, the same for every
run. Without a test part, `valid` is the test part, as in GLUE, whose test set has no labels. The validation part is
then drawn from `train`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bertlab.config.cache import digest
from bertlab.config.errors import InputError
from bertlab.data.content import content_hash
from bertlab.data.hub import load
from bertlab.streams import Streams
from bertlab.tasks.table import Row, Rows, read_rows, shown

PARTS = ("train", "valid", "test")
NAMES = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}  # in files
STREAMS = Streams(20180420)  # the date of GLUE; a draw never depends on a run's seed
DRAWN = 0.1  # share of the rows that are drawn for `valid`, and from a single file also for `test`
FEWEST = 2  # smallest number of rows of a part
Each = TypeVar("Each")


@dataclass(frozen=True)
class Three(Generic[Each]):
    """One value for each part."""

    train: Each
    valid: Each
    test: Each


@dataclass(frozen=True)
class Source:
    """Source of a task's rows: a file, a file for each part, or the name or folder of a dataset."""

    files: Mapping[str, Path]  # by part; "" for a file with all parts
    dataset: str | None = None
    config: str | None = None
    columns: Sequence[str] | None = None  # of files without header
    skip_broken: bool = False  # whether rows that lack a cell are left out instead of an error

    def check(self) -> None:
        """Raise InputError for a missing file."""
        for path in self.files.values():
            if not path.is_file():
                raise InputError(f"a task's files must exist, got {path}, which does not; correct the path")

    def fingerprint(self) -> object:
        """Return a value that identifies the content of all files, without their folders. Raises InputError."""
        if self.dataset is None:
            self.check()
            return [
                [part, self.columns, self.skip_broken, content_hash(path)] for part, path in sorted(self.files.items())
            ]
        return [[part, digest([repr(row.cells) for row in rows])] for part, rows in sorted(self._dataset().items())]

    def rows(self, needed: Collection[str]) -> dict[str, Rows]:
        """Return the rows as they are given, by part; "" if no part was named. Raises InputError.

        If broken rows are skipped, rows with an empty cell in a `needed` column are skipped too.
        """
        rows = self._rows()
        if not self.skip_broken:
            return rows
        return {part: [row for row in some if row.is_whole(needed)] for part, some in rows.items()}

    def _rows(self) -> dict[str, Rows]:
        if self.dataset is not None:
            return self._dataset()
        self.check()
        read = {part: read_rows(path, self.columns, skip_broken=self.skip_broken) for part, path in self.files.items()}
        if "" in read and "split" in read[""][0].cells:
            return _by_column(read[""])
        return read

    def _dataset(self) -> dict[str, Rows]:
        splits = load(str(self.dataset), self.config, None)
        if not splits.keys() & NAMES.keys():
            raise InputError(f"a task's dataset must have {', '.join(NAMES)}, got {', '.join(splits)}; name another")
        return {
            NAMES[name]: [Row(f"{self.dataset}, {name} row {number}", row) for number, row in enumerate(table, 1)]
            for name, table in splits.items()
            if name in NAMES
        }


def divided(given: Mapping[str, Rows], most: int | None) -> Three[Rows]:
    """Return the rows of the three parts, at most `most` of each, drawn. Raises InputError for a part with too few."""
    parts = dict(given)
    if "" in parts:
        parts["train"], parts["test"] = _cut(parts.pop(""), "test")
    if "test" not in parts and "valid" in parts:
        parts["test"] = parts.pop("valid")
    if "test" not in parts:
        parts["train"], parts["test"] = _cut(parts["train"], "test")
    if "valid" not in parts:
        parts["train"], parts["valid"] = _cut(parts.get("train", []), "valid")
    for name in PARTS:
        if len(parts.get(name, [])) < FEWEST:
            raise InputError(
                f"a task's part `{name}` must have {FEWEST} rows, got {len(parts.get(name, []))}; add rows to it"
            )
    return Three(*(few(parts[name], most) for name in PARTS))


def few(rows: Rows, most: int | None) -> Rows:
    """Return at most `most` rows, drawn at random, in file order."""
    if most is None or len(rows) <= most:
        return rows
    return [rows[place] for place in sorted(STREAMS.generator("few").permutation(len(rows))[:most].tolist())]


def _cut(rows: Rows, name: str) -> tuple[Rows, Rows]:
    """Split off a random share of the rows; return the other rows and this share."""
    order = STREAMS.generator(f"split/{name}").permutation(len(rows)).tolist()
    taken = set(order[: max(round(DRAWN * len(rows)), FEWEST)])
    return [row for place, row in enumerate(rows) if place not in taken], [rows[place] for place in sorted(taken)]


def _by_column(rows: Rows) -> dict[str, Rows]:
    parts: dict[str, Rows] = {}
    for row in rows:
        if (name := row.text("split")) not in NAMES:
            raise InputError(f"{row.place}: `split` must be {', '.join(NAMES)}, got {shown(name)}; rename it")
        parts.setdefault(NAMES[name], []).append(row)
    return parts
