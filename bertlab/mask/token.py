"""Independent tokens: each real token is predicted with the same probability (Devlin et al. 2018, sec. 3.1)."""

import numpy as np

from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Bools, Draw, Ints, maskable
from bertlab.mask.rated import NEVER, Levels, Rated


class TokenMask(Rated):
    """Choose every real token independently, with probability `rate`."""

    def starts(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Bools:
        """Return true everywhere: every token is a unit."""
        return maskable(ids_BL, vocabulary)

    def level(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Levels:
        """Return an independent level for each token (B, L): the same as in `Rated`, but without `carry`."""
        return np.where(maskable(ids_BL, vocabulary), draw("mask.position").random(ids_BL.shape), NEVER)
