"""Independent tokens: each real token is predicted with the same probability (Devlin et al. 2018, sec. 3.1)."""

from bertlab.mask.corrupt import Bools, Draw, Ints, maskable
from bertlab.mask.rated import Rated
from bertlab.tokenizer import Vocabulary


class TokenMask(Rated):
    """Choose every real token by itself, with probability `rate`."""

    def starts(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Bools:
        """Return that every token is a unit."""
        return maskable(ids_BL, vocabulary)
