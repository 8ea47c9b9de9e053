"""Every random number of a run: (seed, stream name, counter) -> generator.

Streams do not depend on each other or on call order. So arms that share a seed share every draw that means the same
in both (common random numbers), and a resumed run needs only its step. Generators are counter-based (Philox; Salmon et
al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Their key is a SHA-256 of the three parts.

A name may continue after a `/`: `init/<parameter name>`; fixed masks put the number of the example there.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from bertlab.config.errors import InputError

MASK_NAMES = ("mask.position", "mask.kind", "mask.replacement", "mask.span", "mask.noise")
NAMES = ("init", "order", "pairs", "dropout", "mask", *MASK_NAMES)


@dataclass(frozen=True, slots=True)
class Streams:
    """All random streams of one seed.

    `redraw` is one of NAMES. All streams of that name get new draws; the others keep theirs. This makes an A/A control:
    it must be equivalent to the arm without it.
    """

    seed: int
    redraw: str | None = None

    def __post_init__(self) -> None:
        if self.redraw is not None and self.redraw not in NAMES:
            raise InputError(f"redraw must be null or one of {', '.join(NAMES)}, got {self.redraw}; choose one")

    def generator(self, name: str, counter: int = 0) -> np.random.Generator:
        """Return the generator of stream `name` at `counter` (a step or an epoch). Equal arguments give equal draws."""
        return np.random.Generator(np.random.Philox(key=int.from_bytes(self._hash(name, counter)[:16])))

    def integer(self, name: str, counter: int = 0) -> int:
        """Return a 63-bit seed for libraries that take an integer, such as torch."""
        return int.from_bytes(self._hash(name, counter)[16:24]) >> 1

    def _hash(self, name: str, counter: int) -> bytes:
        anew = self.redraw is not None and f"{name}/".startswith((f"{self.redraw}/", f"{self.redraw}."))
        return hashlib.sha256(f"{self.seed}/{name}/{counter}{'/anew' if anew else ''}".encode()).digest()
