"""Examples: the tokens of segments A and B, as arrays of offsets; the batch copies the tokens.

Legend: N examples.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bertlab.data.store import Ints, Tokens

FOLLOWS, RANDOM, NO_PAIR = 0, 1, -100  # labels of the reference implementation; the loss ignores -100
SWAPPED = RANDOM  # second class if both segments are consecutive in the text: B comes before A


@dataclass(frozen=True)
class Examples:
    """One epoch: [CLS] ids[a_start:a_end] [SEP] ids[b_start:b_end] [SEP]; if B is empty there is one [SEP]."""

    a_start: Ints  # (N,) token offsets
    a_end: Ints
    b_start: Ints
    b_end: Ints
    label: Ints  # (N,) FOLLOWS, RANDOM (or SWAPPED) or NO_PAIR

    def __len__(self) -> int:
        return len(self.label)


class PairMaker(Protocol):
    """Cuts a split into examples of at most `length` tokens, special tokens included."""

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return one epoch of examples in corpus order. Raises InputError if the split is too small."""
        ...
