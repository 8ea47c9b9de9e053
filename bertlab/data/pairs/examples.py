"""Examples: which tokens stand in segments A and B. Arrays of offsets; the tokens themselves are copied by the batch.

Legend: N examples.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bertlab.data.store import Ints, Tokens

FOLLOWS, RANDOM, NO_PAIR = 0, 1, -100  # the reference implementation's labels; -100 is ignored by the loss
SWAPPED = RANDOM  # the other answer where both segments follow each other in the text: B stands before A


@dataclass(frozen=True)
class Examples:
    """One epoch: [CLS] ids[a_start:a_end] [SEP] ids[b_start:b_end] [SEP]; where B is empty there is one [SEP]."""

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
        """Return one epoch of examples in corpus order. Raises InputError when the split is too small."""
        ...
