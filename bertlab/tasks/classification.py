"""Classification of a text or a pair of texts, in two or more classes: accuracy, macro F1, Matthews for two classes."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.kind import Columns, Kind, Prepared, classes_of, each, label, texts
from bertlab.tasks.metrics import Array, Ints, accuracy, macro_f1, matthews
from bertlab.tasks.parts import Three
from bertlab.tasks.table import Row, Rows


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return the examples; the target is the number of a class."""
    number = classes_of(parts, lambda row: [label(row, columns["label"])])

    def made(place: int, row: Row) -> list[Example]:
        ids, segments, cut = encoder.joined(*map(encoder.ids, texts(row, columns)))
        answer = np.array([number[label(row, columns["label"])]])
        return [Example(ids, segments, np.empty(0, np.int64), answer, place, cut)]

    return Prepared(each(parts, made), len(number), partial(judge, len(number)))


def judge(classes: int, score_RC: Array, target_R: Array, _: Ints) -> Mapping[str, float]:
    """Return the metrics of the class with the highest score."""
    guess_R = score_RC.argmax(1)
    metrics = {"accuracy": accuracy(guess_R, target_R), "macro_f1": macro_f1(guess_R, target_R)}
    return metrics | ({"matthews": matthews(guess_R, target_R)} if classes == 2 else {})


KIND = Kind(("text", "label"), ("text_pair",), "pooled", "classes", prepare)
