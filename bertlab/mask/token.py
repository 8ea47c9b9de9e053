"""Independent tokens: each real token is predicted with the same probability (Devlin et al. 2018, sec. 3.1)."""

from collections.abc import Sequence

from bertlab.errors import open_interval, shares
from bertlab.mask.corrupt import Draw, Ints, Masked, corrupt, maskable
from bertlab.tokenizer import Vocabulary


class TokenMask:
    """Choose every real token with probability `rate`, then corrupt the chosen in the shares of `split`."""

    def __init__(self, *, rate: float, split: Sequence[float]) -> None:
        self.rate = open_interval("mask.rate", rate, 0, 1)
        self.split = shares("mask.split", split, ("mask", "random", "keep"))

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return the corrupted copy."""
        chosen_BL = (draw("mask.position").random(ids_BL.shape) < self.rate) & maskable(ids_BL, vocabulary)
        return corrupt(ids_BL, chosen_BL, self.split, vocabulary, draw)
