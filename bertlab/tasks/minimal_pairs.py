"""Minimal pairs: does the model give the good text a higher likelihood? BLiMP's format (Warstadt et al. 2020).

A text's score is its pseudo-log-likelihood: the sum over tokens of log p if only that token is masked (Salazar et al.
2020, arXiv:1910.14659). A tie counts half: a model with equal scores for all texts is right half of the time. If
`group` names a column, such as BLiMP's UID, the result is the mean over groups.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.kind import Columns, Kind, Prepared, each, label
from bertlab.tasks.metrics import Array, Ints
from bertlab.tasks.parts import Three
from bertlab.tasks.table import Row, Rows


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return two examples for each row, the good text first."""

    def made(place: int, row: Row) -> list[Example]:
        joined = [encoder.joined(encoder.ids(row.text(columns[name]))) for name in ("good", "bad")]
        nothing = np.empty(0, np.int64)
        return [Example(ids, segments, nothing, nothing, place, cut) for ids, segments, cut in joined]

    groups = [label(row, columns["group"]) if "group" in columns else "" for row in parts.test]
    return Prepared(each(parts, made), 0, partial(judge, np.unique(groups, return_inverse=True)[1]))


def judge(group_N: Ints, score_R2: Array, _: Array, item_R: Ints) -> Mapping[str, float]:
    """Return the mean over groups of the share of pairs whose good text scores (R, 2) higher; ties count half."""
    right_R = (1 + np.sign(score_R2[:, 0] - score_R2[:, 1])) / 2
    group_R = group_N[item_R]
    means = [right_R[group_R == group].mean() for group in np.unique(group_R)]
    return {"accuracy": float(np.mean(means))}


KIND = Kind(("good", "bad"), ("group",), "alternatives", "none", prepare)
