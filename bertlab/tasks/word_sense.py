"""Which of its senses does a marked word have? Accuracy, also of a baseline: the most frequent sense in `train`.

`start` and `end` are the character positions of the word in `text`; `label` is its sense. If a column `lemma` is named,
only the senses of that lemma are candidates; otherwise all are. A sense that `train` lacks cannot be predicted and
counts as an error (evaluation framework: Raganato et al. 2017, doi:10.18653/v1/E17-1010).

Legend: R answers, C senses in `train`, S all senses.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from bertlab.config.errors import InputError
from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.kind import Columns, Kind, Prepared, each, label
from bertlab.tasks.metrics import Array, Ints, accuracy
from bertlab.tasks.parts import PARTS, Three
from bertlab.tasks.table import Row, Rows
from bertlab.tasks.word_in_context import marked_word

Sense = tuple[str, str]  # a lemma and the name of one of its senses


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return the examples; the target is the number of a sense; senses of `train` come first."""
    taught = Counter(sense_of(row, columns) for row in parts.train)
    if len(taught) < len({lemma for lemma, _ in taught}) + 1:
        raise InputError(
            f"{parts.train[0].place.partition(', ')[0]}: the part `train` must hold two senses of a word, got "
            f"{len(taught)} in all; add rows of another"
        )
    others = {sense_of(row, columns) for row in chain(*(getattr(parts, name) for name in PARTS))} - taught.keys()
    number = {sense: place for place, sense in enumerate([*sorted(taught), *sorted(others)])}

    def made(place: int, row: Row) -> list[Example]:
        ids, segments, spots, cut = encoder.windows(marked_word(row, columns, encoder))
        return [Example(ids, segments, spots, np.array([number[sense_of(row, columns)]]), place, cut)]

    return Prepared(each(parts, made), len(taught), Judge.of(number, taught))


def sense_of(row: Row, columns: Columns) -> Sense:
    """Return the sense of a row."""
    return label(row, columns["lemma"]) if "lemma" in columns else "", label(row, columns["label"])


@dataclass(frozen=True)
class Judge:
    """Accuracy of the best sense among those of the word's lemma."""

    lemma_S: Ints  # the number of each sense's lemma
    usual_S: Ints  # the most frequent sense of that lemma in `train`; -1 if it has none there

    @classmethod
    def of(cls, number: Mapping[Sense, int], taught: Mapping[Sense, int]) -> "Judge":
        """Return the judge of numbered senses, given their counts in `train`; in a tie the first is most frequent."""
        lemmas = sorted({lemma for lemma, _ in number})
        usual = dict.fromkeys(lemmas, -1)
        for sense in sorted(taught, key=lambda sense: (taught[sense], -number[sense])):
            usual[sense[0]] = number[sense]
        return cls(
            np.array([lemmas.index(lemma) for lemma, _ in number]), np.array([usual[lemma] for lemma, _ in number])
        )

    def __call__(self, score_RC: Array, target_R: Array, _: Ints) -> Mapping[str, float]:
        """Return the metrics of the sense with the highest score, and of the most frequent one."""
        mine_RC = self.lemma_S[: score_RC.shape[1]] == self.lemma_S[target_R][:, None]
        guess_R = np.where(mine_RC, score_RC, -np.inf).argmax(1)
        return {"accuracy": accuracy(guess_R, target_R), "most_frequent": accuracy(self.usual_S[target_R], target_R)}


KIND = Kind(("text", "start", "end", "label"), ("lemma",), "word", "classes", prepare)
