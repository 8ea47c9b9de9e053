"""A file with labels -> its rows: .jsonl, .csv, .tsv or .parquet, plain or compressed (.gz, .xz, .zst).

.jsonl    one object per line
.csv      a header, commas, quotes as spreadsheets write them
.tsv      a header, tabs, no quotes, as in GLUE's files
.parquet  columns
"""

import csv
import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bertlab.config.errors import InputError
from bertlab.data.compressed import OPENERS, decompressed

log = logging.getLogger(__name__)

LONGEST = 1 << 20  # characters of a cell: more than in any text of a task
SHOWN = 40  # characters of a wrong value in an error
OUT = "fill it, or leave out such rows with skip_broken: true"
BOM = b"\xef\xbb\xbf"
Cells = Mapping[str, Any]
Read = tuple[str, Cells | InputError]  # position of a row, and its cells or the error
Rows = list["Row"]


class Row:
    """The cells of one row by column, and its position for errors."""

    def __init__(self, place: str, cells: Cells) -> None:
        self.place, self.cells = place, cells

    def text(self, column: str) -> str:
        """Return a cell that must contain text. Raises InputError."""
        value = self.value(column)
        if isinstance(value, str) and value.strip():
            return value
        advice = OUT if isinstance(value, str) else "put it in quotes or choose another column"
        raise InputError(f"{self.place}: `{column}` must hold text, got {shown(value)}; {advice}")

    def value(self, column: str) -> Any:
        """Return a cell. Raises InputError for a missing column and for an empty cell."""
        if column not in self.cells:
            held = ", ".join(self.cells)
            raise InputError(f"{self.place}: must have a column `{column}`, got {shown(held)}; name the column it has")
        if (value := self.cells[column]) is None or value == "":
            raise InputError(f"{self.place}: `{column}` must be given, got nothing; {OUT}")
        return value

    def is_whole(self, columns: Collection[str]) -> bool:
        """Return whether no existing cell of these columns is empty; a missing column is an error elsewhere."""
        return not any(_empty(self.cells.get(column, "there")) for column in columns)

    def whole(self, column: str) -> int:
        """Return a cell that must contain a whole number. Raises InputError."""
        try:
            return int(self.value(column))
        except (TypeError, ValueError):
            raise InputError(
                f"{self.place}: `{column}` must be a whole number, got {shown(self.cells[column])}; correct it"
            ) from None


def read_rows(path: Path, columns: Sequence[str] | None = None, *, skip_broken: bool = False) -> Rows:
    """Return the rows of a file; `columns` names those of a .tsv or .csv file without header.

    Raises InputError, also for a row with more or fewer cells than the header, unless such rows are skipped.
    """
    with decompressed(path) as stream:
        content = stream.read()
    rows, broken = list[Row](), 0
    for place, cells in READERS[form(path)](path, content, columns):
        if isinstance(cells, InputError):
            if not skip_broken:
                raise cells
            broken += 1
        else:
            rows.append(Row(place, _checked(place, cells)))
    if broken:
        log.warning("%s: %s rows have not as many cells as the header and are left out", path, broken)
    if not rows:
        raise InputError(f"{path} must hold rows, got none; add some")
    return rows


def form(path: Path) -> str:
    """Return the suffix of a file, which selects its reader. Raises InputError for an unknown one."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in OPENERS]
    if suffixes and suffixes[-1] in READERS:
        return suffixes[-1]
    raise InputError(f"{path} must end in {', '.join(READERS)}, compressed or not; rename or convert it")


def shown(value: object) -> str:
    """Return the beginning of a value's text, for an error."""
    written = value if isinstance(value, str) else repr(value)
    return written if len(written) <= SHOWN else f"{written[:SHOWN]}..."


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _checked(place: str, cells: Cells) -> Cells:
    for column, value in cells.items():
        letters = len(value) if isinstance(value, str) else 0
        if letters > LONGEST:
            raise InputError(
                f"{place}: `{shown(column)}` must hold at most {LONGEST:,} characters, got {letters:,}; cut the text"
            )
    return cells


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith(BOM):
        raise InputError(f"{path} must be UTF-8 without a byte order mark, got one; save it as plain UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: must be UTF-8 text, got {error.reason}; convert the file") from error


def _jsonl(path: Path, content: bytes, _: Sequence[str] | None) -> Iterator[Read]:
    for number, line in enumerate(_decoded(path, content).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            record = json.loads(line, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: must be one JSON object, got an error: {error}; correct it") from error
        if not isinstance(record, dict):
            raise InputError(f"{place}: must be a JSON object, got {shown(line)}; write {{...}}")
        yield place, record


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if twice := _repeated(names):
        raise ValueError(f"the column {shown(twice)} is there twice")
    return dict(pairs)


def _repeated(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _separated(path: Path, content: bytes, columns: Sequence[str] | None, **form: Any) -> Iterator[Read]:
    csv.field_size_limit(16 * LONGEST)  # larger cells are refused below too, or by csv's own error
    reader = csv.reader(StringIO(_decoded(path, content), newline=""), strict=True, **form)
    try:
        header = list(columns or next(reader, []))
        if twice := _repeated(header):
            raise InputError(f"{path} must name each column once, got {shown(twice)} twice; rename one of them")
        for cells in reader:
            place = f"{path}, line {reader.line_num}"
            if cells and len(cells) != len(header):
                yield place, InputError(f"{place}: must hold {len(header)} cells, got {len(cells)}; correct the row")
            elif cells:
                yield place, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: must be readable, got {error}; correct the row") from error


def _csv(path: Path, content: bytes, columns: Sequence[str] | None) -> Iterator[Read]:
    return _separated(path, content, columns)


def _tsv(path: Path, content: bytes, columns: Sequence[str] | None) -> Iterator[Read]:
    return _separated(path, content, columns, delimiter="\t", quoting=csv.QUOTE_NONE)


def _parquet(path: Path, content: bytes, _: Sequence[str] | None) -> Iterator[Read]:
    try:
        table = pq.read_table(BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} must be a whole Parquet file, got an error ({error}); write it again") from error
    if twice := _repeated(table.column_names):
        raise InputError(f"{path} must name each column once, got {shown(twice)} twice; rename one of them")
    for number, record in enumerate(table.to_pylist(), 1):
        yield f"{path}, row {number}", record


Reader = Callable[[Path, bytes, Sequence[str] | None], Iterator[Read]]
READERS: dict[str, Reader] = {".jsonl": _jsonl, ".csv": _csv, ".tsv": _tsv, ".parquet": _parquet}
