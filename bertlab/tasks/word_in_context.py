"""Does a word have the same sense in two texts (Pilehvar & Camacho-Collados 2019, WiC)? Accuracy.

`start` and `end` are the character positions of the word in `text`, `start_pair` and `end_pair` those in `text_pair`.
"""

from functools import partial

import numpy as np

from bertlab.config.errors import InputError
from bertlab.data.store import Ints
from bertlab.tasks.classification import judge
from bertlab.tasks.encoding import Encoder, Example, Span
from bertlab.tasks.kind import Columns, Kind, Prepared, classes_of, each, label
from bertlab.tasks.parts import Three
from bertlab.tasks.table import Row, Rows


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return the examples; four columns are read: start and end of the word in each text."""
    number = classes_of(parts, lambda row: [label(row, columns["label"])])

    def made(place: int, row: Row) -> list[Example]:
        marked = (marked_word(row, columns, encoder, suffix) for suffix in ("", "_pair"))
        ids, segments, spots, cut = encoder.windows(*marked)
        return [Example(ids, segments, spots, np.array([number[label(row, columns["label"])]]), place, cut)]

    return Prepared(each(parts, made), len(number), partial(judge, len(number)))


def marked_word(row: Row, columns: Columns, encoder: Encoder, suffix: str = "") -> tuple[Ints, Span]:
    """Return the tokens of a row's text, and the span of the marked word. Raises InputError."""
    text = row.text(columns[f"text{suffix}"])
    start, end = (row.whole(columns[f"{side}{suffix}"]) for side in ("start", "end"))
    marked = encoder.marked(text, start, end) if 0 <= start < end <= len(text) else None
    if marked is None:
        raise InputError(
            f"{row.place}: `{columns[f'start{suffix}']}` and `{columns[f'end{suffix}']}` must mark a word of "
            f"{len(text)} letters, got {start} and {end}; correct them"
        )
    return marked


MARKS = ("start", "end", "start_pair", "end_pair")
KIND = Kind(("text", "text_pair", *MARKS, "label"), (), "marked", "classes", prepare)
