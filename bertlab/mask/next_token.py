"""Left to right: every token is predicted from the tokens before it (Radford et al. 2018, "GPT").

Nothing is corrupted, so no token may attend ahead: other models would see the answer, and `bertlab/sweep/run.py`
refuses them.
"""

import numpy as np

from bertlab.data.masking import Masked
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Draw, Ints, maskable


class NextToken:
    """Predict every real token at the position before it: [CLS] predicts the first, [SEP] the first of segment B."""

    ahead = 1  # distance from a position to the token predicted there

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return a copy and, for each position before a real token, that token; uses no random numbers."""
        next_BL = np.roll(ids_BL, -self.ahead, axis=1)
        real_BL = maskable(next_BL, vocabulary)
        real_BL[:, -self.ahead :] = False  # the last column has no next token
        return Masked(ids_BL.copy(), np.flatnonzero(real_BL), next_BL[real_BL])
