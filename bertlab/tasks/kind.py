"""Kind of a task: the columns that it reads, what a head reads, the loss, and how predictions are scored."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from bertlab.config.errors import InputError
from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.metrics import Array, Ints
from bertlab.tasks.parts import PARTS, Three
from bertlab.tasks.table import Row, Rows, shown

Columns = Mapping[str, str]  # meaning of a cell -> the name of its column, or another setting of the kind
Judge = Callable[[Array, Array, Ints], Mapping[str, float]]  # (score (R, C), target (R, ...), item (R,)) -> metrics


@dataclass(frozen=True)
class Prepared:
    """A task's examples, ready for a model; `judge` returns the metrics, the first one is for model selection."""

    parts: Three[list[Example]]
    outputs: int  # number of outputs of the head
    judge: Judge


@dataclass(frozen=True)
class Kind:
    """A kind of task."""

    needs: Sequence[str]  # columns, by meaning, which is also the default name
    may: Sequence[str]  # optional columns, read if a task names them, and settings
    head: str  # states that are read: pooled, words, word, marked; or alternatives, without a head
    loss: str  # classes, numbers, labels
    prepare: Callable[[Three[Rows], Columns, Encoder], Prepared]


def texts(row: Row, columns: Columns) -> list[str]:
    """Return the text of a row, or its pair of texts."""
    return [row.text(columns[name]) for name in ("text", "text_pair") if name in columns]


def each(parts: Three[Rows], make: Callable[[int, Row], list[Example]]) -> Three[list[Example]]:
    """Return the examples of all rows, part by part."""
    made = ([one for place, row in enumerate(getattr(parts, name)) for one in make(place, row)] for name in PARTS)
    return Three(*made)


def classes_of(parts: Three[Rows], answers: Callable[[Row], Sequence[str]], fewest: int = 2) -> dict[str, int]:
    """Return the sorted classes of a task, with their numbers. Raises InputError.

    `train` and `test` must have several classes, and every class must occur in `train`.
    """
    seen = {name: {answer: row for row in getattr(parts, name) for answer in answers(row)} for name in PARTS}
    for name in ("train", "test"):
        if len(seen[name]) < fewest:
            raise InputError(
                f"{getattr(parts, name)[0].place.partition(', ')[0]}: the part `{name}` must hold {fewest} classes, "
                f"got {', '.join(map(shown, seen[name])) or 'none'}; add rows of another, or shuffle the file"
            )
    for name in ("valid", "test"):
        if strange := sorted(seen[name].keys() - seen["train"].keys()):
            place = seen[name][strange[0]].place
            raise InputError(
                f"{place}: a class must be taught in `train`, got {shown(strange[0])}; add rows of it there, or raise "
                "`most` where it is set"
            )
    return {answer: number for number, answer in enumerate(sorted(seen["train"]))}


def label(row: Row, column: str) -> str:
    """Return a label of any type as text. Raises InputError for a list."""
    value = row.value(column)
    if isinstance(value, Hashable) and not isinstance(value, float):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise InputError(f"{row.place}: `{column}` must be one label, got {shown(value)}; choose another kind or column")


def labels(row: Row, column: str, separator: str | None) -> list[str]:
    """Return a list of labels or words, from a list or from text with separators. Raises InputError."""
    if column not in row.cells:
        row.value(column)
    value = row.cells[column]
    found = value.split(separator) if isinstance(value, str) else value
    if isinstance(found, list) and all(isinstance(one, str | int) for one in found):
        return [str(one).strip() for one in found if str(one).strip()]
    raise InputError(f"{row.place}: `{column}` must be a list or text with separators, got {shown(value)}; correct it")
