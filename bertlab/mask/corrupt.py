"""The mask-random-keep step that masking policies share (Devlin et al. 2018, sec. 3.1).

Random numbers are drawn for every token, chosen or not, and compared with thresholds. So arms with the same seed differ
only by their settings: chosen tokens are nested across rates, and a changed split only re-labels the tokens of the
changed share.

Legend: B sequences, L length, M predicted positions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bertlab.data.masking import Masked
from bertlab.data.tokenizer import MASK, Vocabulary

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Draw = Callable[[str], np.random.Generator]  # stream name -> this batch's generator


@runtime_checkable
class Ahead(Protocol):
    """A policy that predicts, at each position, the token `ahead` positions later, which the model must not see."""

    ahead: int


class Drawn(ABC):
    """A policy whose masks depend only on tokens and random numbers."""

    @abstractmethod
    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return the corrupted copy."""


@runtime_checkable
class AheadFirst(Protocol):
    """A policy that predicts ahead only at the start of a run, in batches with `one_way`."""

    starts_ahead: int


def maskable(ids_BL: Ints, vocabulary: Vocabulary) -> Bools:
    """Return which tokens may be chosen: all except special tokens ([PAD], [UNK], [CLS], [SEP], [MASK])."""
    return ids_BL >= vocabulary.first_real


def corrupt(ids_BL: Ints, chosen_BL: Bools, split: tuple[float, ...], vocabulary: Vocabulary, draw: Draw) -> Masked:
    """Replace the chosen tokens by [MASK] or by a random real token, or keep them, in the shares of `split`.

    The random token is uniform over the real vocabulary and may equal the original, as in the original code.
    """
    mask, random, _ = split
    kind_BL = draw("mask.kind").random(ids_BL.shape)
    other_BL = random_tokens(ids_BL.shape, vocabulary, draw)
    corrupted_BL = np.where(chosen_BL & (kind_BL < mask), MASK, ids_BL)
    at_random_BL = chosen_BL & (kind_BL >= mask) & (kind_BL < mask + random)
    corrupted_BL = np.where(at_random_BL, other_BL, corrupted_BL)
    return predict(ids_BL, corrupted_BL, chosen_BL)


def random_tokens(shape: tuple[int, ...], vocabulary: Vocabulary, draw: Draw) -> Ints:
    """Return a random replacement for each position, uniform over the real vocabulary."""
    return draw("mask.replacement").integers(vocabulary.first_real, vocabulary.size, shape)


def predict(ids_BL: Ints, corrupted_BL: Ints, predicted_BL: Bools) -> Masked:
    """Return the corrupted copy with the original tokens at predicted positions, corrupted or not."""
    position_M = np.flatnonzero(predicted_BL)
    return Masked(corrupted_BL, position_M, ids_BL.reshape(-1)[position_M])
