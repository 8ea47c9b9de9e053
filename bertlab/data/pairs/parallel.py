"""Parallel sentences: a document's first and second sentence, third and fourth, ... as segments A and B.

For text in which the second sentence belongs to the first, for example a translation. Too long pairs are cut at the
end.
"""

import numpy as np

from bertlab.config.errors import InputError, own_option
from bertlab.data.pairs.examples import NO_PAIR, Examples
from bertlab.data.store import Tokens


class Parallel:
    """[CLS] sentence [SEP] next sentence [SEP]; no pair label. A last single sentence is not used."""

    answers = True  # B depends on A, so only tokens of B may be predicted

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the pairs of all documents; uses no random numbers."""
        room = length - 3  # [CLS], [SEP] and [SEP]
        in_document = np.arange(len(tokens.sentences) - 1) - np.repeat(tokens.documents[:-1], np.diff(tokens.documents))
        second = np.flatnonzero(in_document % 2 == 1)
        if not len(second):
            raise InputError(
                f"{own_option('pairs', 'parallel')} needs documents of at least 2 sentences, got none; add text or use "
                f"{own_option('pairs', 'none')}"
            )
        a_start, b_start, end = (tokens.sentences[second + offset] for offset in (-1, 0, 1))
        length_a, length_b = b_start - a_start, end - b_start
        keep_a = np.minimum(length_a, np.maximum(room - length_b, room - room // 2))
        keep_b = np.minimum(length_b, room - keep_a)
        return Examples(a_start, a_start + keep_a, b_start, b_start + keep_b, np.full(len(second), NO_PAIR))
