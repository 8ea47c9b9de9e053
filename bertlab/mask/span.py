"""Spans of whole words (Joshi et al. 2020, "SpanBERT", sec. 3.1, arXiv:1907.10529).

Legend: B sequences, L length, U uniforms.
"""

from collections.abc import Sequence

import numpy as np

from bertlab.config.errors import open_interval, whole_number
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Bools, Draw, Ints, maskable
from bertlab.mask.rated import Levels, Rated
from bertlab.mask.whole_word import word_starts


class SpanMask(Rated):
    """Choose contiguous words; a span has Geometric(p) of them, at most `longest`.

    Text between special tokens is cut into consecutive spans, and each span is chosen with probability `rate`. No span
    crosses a special token; the last one may be cut short.

    Departures from the paper, so that only the unit differs from `mask=token`: spans are placed independently of the
    rate, not drawn until it is covered, so they are nested across rates; the share of predicted tokens is the rate on
    average, not in every sequence; two chosen spans may touch; [MASK], random or keep is drawn for each token.
    """

    def __init__(self, *, rate: float, split: Sequence[float], p: float, longest: int) -> None:
        super().__init__(rate=rate, split=split)
        self.p = open_interval("p", p, 0, 1)
        self.longest = whole_number("longest", longest, 2)

    def starts(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Bools:
        """Return where spans start."""
        words_BL = span_lengths(draw("mask.span").random(ids_BL.shape), self.p, self.longest)
        return tile(word_starts(ids_BL, vocabulary), maskable(ids_BL, vocabulary), words_BL)


def span_lengths(uniform_U: Levels, p: float, longest: int) -> Ints:
    """Turn uniform numbers into lengths in words: Geometric(p), at most `longest`; p = .2 and 10 give the mean 3.8."""
    within_U = uniform_U * (1 - (1 - p) ** longest)
    words_U: Ints = np.minimum(1 + np.floor(np.log1p(-within_U) / np.log1p(-p)), longest).astype(np.int64)
    return words_U


def tile(word_BL: Bools, real_BL: Bools, words_BL: Ints) -> Bools:
    """Return where spans start if a span that starts at a position has `words_BL` words there."""
    starts_BL = np.zeros_like(word_BL)
    left_B = np.zeros(len(word_BL), np.int64)  # words left in the current span
    for column in range(word_BL.shape[1]):
        left_B *= real_BL[:, column]  # a special token ends the span
        starts_BL[:, column] = word_BL[:, column] & (left_B == 0)
        left_B = np.where(starts_BL[:, column], words_BL[:, column], left_B) - word_BL[:, column]
    return starts_BL
