"""Random tokens in several doses: how much noise can a model tolerate at tokens that are not predicted?

Devlin et al. 2018 replace 10 % of the 15 % predicted tokens, 1.5 % of all tokens, at random, and call that harmless. To
change only this share, predicted tokens and [MASK] must stay as they are; but only 3 % of all tokens are predicted
without [MASK]. So the noise falls on the other tokens, and the predicted ones have none: with the split 80-0-20,

    random share of all tokens = noise + rate * split[random] = noise,

and another token is replaced with probability noise / (1 - rate): .015 / .85 = .0176 for the original dose. Noise is
nested across doses. A random token equals the original with probability 1 / vocabulary size.
"""

import numpy as np

from bertlab.config.errors import InputError, at, closed_interval, own
from bertlab.data.masking import Masked
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Draw, Drawn, Ints, maskable, random_tokens
from bertlab.mask.rated import rated


class Noise(Drawn):
    """Corrupt and predict like `corruption`, and replace `noise` of all real tokens, none of them predicted."""

    def __init__(self, *, corruption: object, noise: float) -> None:
        self.corruption = rated("corruption", corruption)
        self.noise = closed_interval("noise", noise, 0, 1)
        others = 1 - self.corruption.rate
        if self.noise > others:
            raise InputError(
                f"{own('noise')} must be at most the share that is not predicted, {others:g}, got {noise:g}; lower it"
            )
        self.probability = self.noise / others

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return the corrupted copy."""
        with at("corruption"):
            masked = self.corruption(ids_BL, vocabulary, draw)
        noisy_BL = maskable(ids_BL, vocabulary) & (draw("mask.noise").random(ids_BL.shape) < self.probability)
        noisy_BL.reshape(-1)[masked.position_M] = False
        random_BL = np.where(noisy_BL, random_tokens(ids_BL.shape, vocabulary, draw), masked.ids_BL)
        return Masked(random_BL, masked.position_M, masked.target_M)
