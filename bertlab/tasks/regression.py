"""Regression on a text or a pair of texts: Pearson and Spearman correlation."""

import math
from collections.abc import Mapping

import numpy as np

from bertlab.config.errors import InputError
from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.kind import Columns, Kind, Prepared, each, texts
from bertlab.tasks.metrics import Array, Ints, pearson, spearman
from bertlab.tasks.parts import PARTS, Three
from bertlab.tasks.table import Row, Rows, shown


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return the examples; the targets have mean 0 and standard deviation 1 in `train`."""
    taught = np.array([_number(row, columns["label"]) for row in parts.train])
    for name in PARTS:
        rows = getattr(parts, name)
        if len({_number(row, columns["label"]) for row in rows}) < 2:
            raise InputError(
                f"{rows[0].place}: the part `{name}` must hold several values, got one; add rows of another"
            )

    def made(place: int, row: Row) -> list[Example]:
        ids, segments, cut = encoder.joined(*map(encoder.ids, texts(row, columns)))
        answer = (np.array([_number(row, columns["label"])]) - taught.mean()) / taught.std()
        return [Example(ids, segments, np.empty(0, np.int64), answer, place, cut)]

    return Prepared(each(parts, made), 1, judge)


def judge(score_R1: Array, target_R: Array, _: Ints) -> Mapping[str, float]:
    """Return the correlations of predictions and targets."""
    return {"pearson": pearson(score_R1[:, 0], target_R), "spearman": spearman(score_R1[:, 0], target_R)}


def _number(row: Row, column: str) -> float:
    value = row.value(column)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{row.place}: `{column}` must be a number, got {shown(value)}; correct it")
    return number


KIND = Kind(("text", "label"), ("text_pair",), "pooled", "numbers", prepare)
