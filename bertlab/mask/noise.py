"""Random tokens as a dose: how much noise does a model bear where nothing is to be predicted?

Devlin et al. 2018 replace 10 % of the 15 % predicted tokens, 1.5 % of all tokens, at random, and call that harmless. To
change this share alone, predicted tokens and [MASK] must stay as they are; but among the predicted there is only room
for 3 % that are not [MASK]. So the noise falls on the others, and the predicted ones hold none: with the split 80-0-20,

    random share of all tokens = noise + rate * split[random] = noise,

and an other token is replaced with probability noise / (1 - rate): .015 / .85 = .0176 in the dose of the original.
Noise is nested across doses. A random token may equal the original, once in the size of the vocabulary.
"""

import numpy as np

from bertlab.config.errors import InputError, at, closed_interval, own
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Draw, Drawn, Ints, Masked, maskable, random_tokens
from bertlab.mask.rated import rated


class Noise(Drawn):
    """Corrupt and predict as `corruption` does, and replace `noise` of all real tokens, none of them predicted."""

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
