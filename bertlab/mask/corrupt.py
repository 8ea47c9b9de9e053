"""The mask-random-keep step that masking policies share (Devlin et al. 2018, sec. 3.1).

Draws are made for every token, chosen or not, and compared with thresholds. Arms that share a seed therefore differ
only where their settings do: chosen tokens are nested across rates, and a change of the split re-labels only the
tokens of the share that moved.

Legend: B sequences, L length, M predicted positions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bertlab.tokenizer import MASK, Vocabulary

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Draw = Callable[[str], np.random.Generator]  # stream name -> generator of this batch


@dataclass(frozen=True)
class Masked:
    """What a policy makes of a batch."""

    ids_BL: Ints  # corrupted token ids
    position_M: Ints  # flat positions to predict, ascending: row * L + column
    target_M: Ints  # the original token ids there


class MaskPolicy(Protocol):
    """Chooses the tokens to predict and corrupts them. Special and padding tokens are never chosen."""

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Masked:
        """Return the corrupted copy; `ids_BL` is not changed."""
        ...


def maskable(ids_BL: Ints, vocabulary: Vocabulary) -> Bools:
    """Return where a token may be chosen: everywhere but at special tokens ([PAD], [UNK], [CLS], [SEP], [MASK])."""
    return ids_BL >= vocabulary.first_real


def corrupt(ids_BL: Ints, chosen_BL: Bools, split: tuple[float, ...], vocabulary: Vocabulary, draw: Draw) -> Masked:
    """Replace the chosen tokens by [MASK], by a random real token, or leave them, in the shares of `split`.

    The random token is uniform over the real vocabulary and may equal the original, as in the original code.
    """
    mask, random, _ = split
    kind_BL = draw("mask.kind").random(ids_BL.shape)
    other_BL = draw("mask.replacement").integers(vocabulary.first_real, vocabulary.size, ids_BL.shape)
    corrupted_BL = np.where(chosen_BL & (kind_BL < mask), MASK, ids_BL)
    at_random_BL = chosen_BL & (kind_BL >= mask) & (kind_BL < mask + random)
    corrupted_BL = np.where(at_random_BL, other_BL, corrupted_BL)
    position_M = np.flatnonzero(chosen_BL)
    return Masked(corrupted_BL, position_M, ids_BL.reshape(-1)[position_M])
