"""Translation: segment B is predicted token by token, from its earlier tokens and from segment A."""

import numpy as np

from bertlab.data.masking import Masked
from bertlab.data.tokenizer import SEP, Vocabulary
from bertlab.mask.corrupt import Draw, Ints
from bertlab.mask.next_token import NextToken


class Translate(NextToken):
    """Predict every real token of segment B at the position before it; the first [SEP] predicts B's first token."""

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return a copy and, for each position before a real token of B, that token; uses no random numbers."""
        masked = super().__call__(ids_BL, vocabulary, draw)
        after_BL = np.cumsum(ids_BL == SEP, axis=1) > 0
        in_b_M = after_BL.reshape(-1)[masked.position_M]
        return Masked(masked.ids_BL, masked.position_M[in_b_M], masked.target_M[in_b_M])
