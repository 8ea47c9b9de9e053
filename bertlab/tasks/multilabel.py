"""Zero or more labels per text: F1 over all labels, its mean over labels, and the share of texts without error."""

from collections.abc import Mapping

import numpy as np

from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.kind import Columns, Kind, Prepared, classes_of, each, labels, texts
from bertlab.tasks.metrics import Array, Ints, labels_f1, micro_f1
from bertlab.tasks.parts import Three
from bertlab.tasks.table import Row, Rows

SEPARATOR = ","  # between the labels of a cell


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return the examples; the target is 0 or 1 for each label (1, C)."""

    def answers(row: Row) -> list[str]:
        return labels(row, columns["label"], columns.get("separator", SEPARATOR))

    number = classes_of(parts, answers, fewest=1)

    def made(place: int, row: Row) -> list[Example]:
        ids, segments, cut = encoder.joined(*map(encoder.ids, texts(row, columns)))
        answer_1C = np.zeros((1, len(number)))
        answer_1C[0, [number[name] for name in answers(row)]] = 1
        return [Example(ids, segments, np.empty(0, np.int64), answer_1C, place, cut)]

    return Prepared(each(parts, made), len(number), judge)


def judge(score_RC: Array, target_RC: Array, _: Ints) -> Mapping[str, float]:
    """Return the metrics of the labels with a probability above 0.5."""
    guess_RC = (score_RC > 0).astype(np.int64)
    exact = float((guess_RC == target_RC).all(1).mean())
    return {"micro_f1": micro_f1(guess_RC, target_RC), "macro_f1": labels_f1(guess_RC, target_RC), "exact": exact}


KIND = Kind(("text", "label"), ("text_pair", "separator"), "pooled", "labels", prepare)
