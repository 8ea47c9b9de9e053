"""The draws of one batch, and where the batch stands in its run.

Legend: B sequences.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bertlab.streams import Streams


@dataclass(frozen=True)
class Moment:
    """Called with the name of a stream it returns the generator of that stream for this batch."""

    streams: Streams
    step: int  # of the run, counted from 0
    progress: float  # 0 at the first step of the run, 1 at the last
    epoch: int
    example_B: npt.NDArray[np.int64]  # which of the epoch's examples the rows are

    def __call__(self, name: str) -> np.random.Generator:
        """Return a new generator: equal names, equal draws."""
        return self.streams.generator(name, self.step)

    def of_example(self, name: str, row: int, copy: int) -> np.random.Generator:
        """Return a generator that is keyed by the row's example in a copy of the corpus, whatever the step."""
        return self.streams.generator(f"{name}/{self.example_B[row]}", copy)
