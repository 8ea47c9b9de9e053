"""A label for each word of a text: accuracy and macro F1 over words, or F1 of whole spans for labels B-, I-, O.

The first token of a word is read (Devlin et al. 2018, sec. 5.3). A text that is too long is read in pieces.
"""

import re
from collections.abc import Mapping
from functools import partial

import numpy as np

from bertlab.config.errors import InputError
from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.kind import Columns, Kind, Prepared, classes_of, each, labels
from bertlab.tasks.metrics import Array, Ints, accuracy, macro_f1, span_f1
from bertlab.tasks.parts import Three
from bertlab.tasks.table import Row, Rows

OF_SPANS = re.compile(r"O|[BI]-.+")


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return the examples; the targets are the numbers of the words' labels."""

    def tags(row: Row) -> list[str]:
        return labels(row, columns["label"], None)

    number = classes_of(parts, tags)

    def made(place: int, row: Row) -> list[Example]:
        words, answers = labels(row, columns["text"], None), [number[tag] for tag in tags(row)]
        if len(words) != len(answers):
            raise InputError(
                f"{row.place}: `{columns['label']}` must hold a label for each of {len(words)} words, got "
                f"{len(answers)}; correct the row"
            )
        return [_example(encoder, first, ids, answers, place) for first, ids in encoder.words(words)]

    return Prepared(each(parts, made), len(number), partial(judge, list(number)))


def _example(encoder: Encoder, first: int, of_words: list[Ints], answers: list[int], item: int) -> Example:
    ids, segments, _ = encoder.joined(np.concatenate(of_words))
    spots = 1 + np.cumsum([0, *map(len, of_words[:-1])])
    return Example(ids, segments, spots, np.array(answers[first : first + len(of_words)]), item)


def judge(names: list[str], score_RC: Array, target_R: Array, item_R: Ints) -> Mapping[str, float]:
    """Return the metrics of the label with the highest score."""
    guess_R = score_RC.argmax(1)
    right = accuracy(guess_R, target_R)
    if not all(map(OF_SPANS.fullmatch, names)):
        return {"accuracy": right, "macro_f1": macro_f1(guess_R, target_R)}
    found, wanted = ([names[number] for number in each_R.tolist()] for each_R in (guess_R, target_R))
    return {"span_f1": span_f1(found, wanted, item_R), "accuracy": right}


KIND = Kind(("text", "label"), (), "words", "classes", prepare)
