"""Sentence-order pairs (Lan et al. 2020, "ALBERT", sec. 3.1, arXiv:1909.11942): which of two segments comes first?

Both segments are consecutive in one document, so the topic does not help. They are cut as in `pairs=nsp`.
"""

import numpy as np

from bertlab.config.errors import closed_interval
from bertlab.data.pairs.examples import FOLLOWS, SWAPPED, Examples
from bertlab.data.pairs.nsp import NextSentence
from bertlab.data.store import Tokens


class SentenceOrder:
    """Make pairs of consecutive segments; a share `swapped` is swapped; a share `short` aims at a shorter length."""

    def __init__(self, *, swapped: float, short: float) -> None:
        self.swapped = closed_interval("swapped", swapped, 0, 1)
        self.short = closed_interval("short", short, 0, 1)

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the pairs of one epoch, in the order of rounds."""
        straight = NextSentence(random=0, short=self.short)(tokens, length, rng)
        swap = rng.random(len(straight)) < self.swapped
        return Examples(
            a_start=np.where(swap, straight.b_start, straight.a_start),
            a_end=np.where(swap, straight.b_end, straight.a_end),
            b_start=np.where(swap, straight.a_start, straight.b_start),
            b_end=np.where(swap, straight.a_end, straight.b_end),
            label=np.where(swap, SWAPPED, FOLLOWS),
        )
