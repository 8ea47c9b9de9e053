"""The random numbers of one batch, and the position of the batch in its run.

Legend: B sequences.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bertlab.streams import Streams


@dataclass(frozen=True)
class Moment:
    """When called with the name of a stream, returns its generator for this batch."""

    streams: Streams
    step: int  # of the run, counted from 0
    progress: float  # 0 at the first step of the run, 1 at the last
    epoch: int
    example_B: npt.NDArray[np.int64]  # indices of the rows' examples in the epoch

    def __call__(self, name: str) -> np.random.Generator:
        """Return a new generator; equal names give equal draws."""
        return self.streams.generator(name, self.step)

    def of_example(self, name: str, row: int, copy: int) -> np.random.Generator:
        """Return a generator for the row's example in a copy of the corpus, independent of the step."""
        return self.streams.generator(f"{name}/{self.example_B[row]}", copy)
