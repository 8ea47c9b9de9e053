"""Separate rates of corruption and prediction (Wettig et al. 2022, arXiv:2202.08005, sec. 5).

More corruption makes a prediction harder; more predictions give more training signal. A single rate changes both.
"""

from bertlab.config.errors import InputError, at, open_interval, own, own_option
from bertlab.data.masking import Masked
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Draw, Drawn, Ints, predict
from bertlab.mask.rated import rated


class Apart(Drawn):
    """Corrupt like `corruption`, at its rate, and predict `prediction_rate` of the real tokens, all of them corrupted.

    The predicted tokens are those that `corruption` would choose at `prediction_rate`: a subset of the corrupted ones,
    nested across prediction rates, and equal to those of a run that corrupts only what it predicts.
    """

    def __init__(self, *, corruption: object, prediction_rate: float) -> None:
        self.corruption = rated("corruption", corruption)
        self.prediction_rate = open_interval("prediction_rate", prediction_rate, 0, 1)
        if self.prediction_rate > self.corruption.rate:
            raise InputError(
                f"{own('prediction_rate')} must be at most {own('corruption.rate')}, {self.corruption.rate:g}, got "
                f"{prediction_rate:g}; lower it, or use {own_option('mask', 'all_tokens')} to predict what is not "
                "corrupted"
            )

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return the corrupted copy."""
        with at("corruption"):
            predicted_BL = self.corruption.level(ids_BL, vocabulary, draw) < self.prediction_rate
            corrupted_BL = self.corruption(ids_BL, vocabulary, draw).ids_BL
        return predict(ids_BL, corrupted_BL, predicted_BL)
