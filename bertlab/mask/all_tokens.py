"""Every token is predicted: the all-tokens MLM of ELECTRA (Clark et al. 2020, arXiv:2003.10555, sec. 3.5).

Departure: the paper adds a copy mechanism, a probability to output the input token; here the head predicts it normally.
"""

from bertlab.data.masking import Masked
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Draw, Drawn, Ints, maskable, predict
from bertlab.mask.rated import rated


class AllTokens(Drawn):
    """Corrupt like `corruption`, and predict every real token, corrupted or not."""

    def __init__(self, *, corruption: object) -> None:
        self.corruption = rated("corruption", corruption)

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return the corrupted copy."""
        return predict(ids_BL, self.corruption(ids_BL, vocabulary, draw).ids_BL, maskable(ids_BL, vocabulary))
