"""Every random number of a run: (seed, stream name, counter) -> generator.

Streams are independent of each other and of call order, so that arms which share a seed share every draw that has the
same meaning in both (common random numbers), and a resumed run needs nothing but its step. Generators are counter-based
(Philox; Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), keyed by a SHA-256 of the three parts.

Names in use: `init/<parameter name>`, `order`, `pairs`, `mask.position`, `mask.kind`, `mask.replacement`, `mask.span`,
`mask.noise`, `dropout`; fixed masks put the example behind the name of the stream.
"""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Streams:
    """All random streams of one seed."""

    seed: int

    def generator(self, name: str, counter: int = 0) -> np.random.Generator:
        """Return the generator of stream `name` at `counter` (a step or an epoch); equal arguments, equal draws."""
        return np.random.Generator(np.random.Philox(key=int.from_bytes(self._hash(name, counter)[:16])))

    def integer(self, name: str, counter: int = 0) -> int:
        """Return a 63-bit seed for libraries that take an integer, such as torch."""
        return int.from_bytes(self._hash(name, counter)[16:24]) >> 1

    def _hash(self, name: str, counter: int) -> bytes:
        return hashlib.sha256(f"{self.seed}/{name}/{counter}".encode()).digest()
