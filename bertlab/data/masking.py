"""What batches ask of a masking policy: the policy gets the random numbers of a batch, and returns it corrupted.

The policies are in `bertlab/mask/`.

Legend: B sequences, L length, M predicted positions.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bertlab.data.tokenizer import Vocabulary
from bertlab.streams import Streams

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Moment:
    """When called with the name of a stream, returns its generator for this batch."""

    streams: Streams
    step: int  # of the run, counted from 0
    progress: float  # 0 at the first step of the run, 1 at the last
    epoch: int
    example_B: Ints  # indices of the rows' examples in the epoch

    def __call__(self, name: str) -> np.random.Generator:
        """Return a new generator; equal names give equal draws."""
        return self.streams.generator(name, self.step)

    def of_example(self, name: str, row: int, copy: int) -> np.random.Generator:
        """Return a generator for the row's example in a copy of the corpus, independent of the step."""
        return self.streams.generator(f"{name}/{self.example_B[row]}", copy)


@dataclass(frozen=True)
class Masked:
    """A policy's output for a batch."""

    ids_BL: Ints  # corrupted token ids
    position_M: Ints  # flat positions to predict, ascending: row * L + column
    target_M: Ints  # the original token ids there
    one_way: bool = False  # whether tokens may not attend ahead, because their targets are there


class MaskPolicy(Protocol):
    """Chooses the tokens to predict and corrupts tokens; special and padding tokens are never predicted or changed.

    A policy that needs only random numbers takes a Draw; one that changes during the run takes the Moment.
    """

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Moment) -> Masked:
        """Return the corrupted copy; does not change `ids_BL`."""
        ...


@runtime_checkable
class Copied(Protocol):
    """A policy with a number of fixed copies of the corpus: epoch e has the examples of epoch e modulo `copies`."""

    copies: int
