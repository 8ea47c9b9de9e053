"""Policies with a rate: every token has a level in [0, 1); tokens with a level below the rate are chosen.

Policies differ only in the tokens that share a level. A level is always uniform, so a token is chosen with probability
`rate`, and chosen tokens are nested across rates.

Legend: B sequences, L length.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bertlab.config.errors import InputError, open_interval, own, shares
from bertlab.data.masking import Masked
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Bools, Draw, Drawn, Ints, corrupt, maskable

Levels = npt.NDArray[np.float64]
NEVER = 1.0  # level of tokens that are never chosen


class Rated(Drawn):
    """Predict the tokens whose level is below `rate`, corrupted in the shares of `split`."""

    def __init__(self, *, rate: float, split: Sequence[float]) -> None:
        self.rate = open_interval("rate", rate, 0, 1)
        self.split = shares("split", split, ("mask", "random", "keep"))

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return the corrupted copy."""
        return corrupt(ids_BL, self.level(ids_BL, vocabulary, draw) < self.rate, self.split, vocabulary, draw)

    def level(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Levels:
        """Return the level of each token (B, L); NEVER at special and padding tokens."""
        starts_BL = self.starts(ids_BL, vocabulary, draw)
        shared_BL = carry(draw("mask.position").random(ids_BL.shape), starts_BL)
        return np.where(maskable(ids_BL, vocabulary), shared_BL, NEVER)

    @abstractmethod
    def starts(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Bools:
        """Return where a unit starts (B, L); all tokens up to the next start are chosen together or not at all."""


def rated(key: str, policy: object) -> Rated:
    """Return `policy` if it chooses at a rate, as policies built on levels need. Raises InputError."""
    if isinstance(policy, Rated):
        return policy
    raise InputError(
        f"{own(key)} must choose tokens at a rate, got {type(policy).__name__}; choose mask@{own(key)}=token, "
        "whole_word or span"
    )


def carry(values_BL: Levels, starts_BL: Bools) -> Levels:
    """Give every position the value of the last start at or before it (of column 0 if there is none)."""
    start_BL = np.maximum.accumulate(np.where(starts_BL, np.arange(values_BL.shape[1]), 0), axis=1)
    return np.take_along_axis(values_BL, start_BL, axis=1)
