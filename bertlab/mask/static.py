"""Static masks: the corpus in a few fixed copies (Devlin et al. 2018, released code: `dupe_factor`, 10 by default).

Epoch e reads copy e modulo `copies`: it uses that copy's pairs, and an example's mask depends only on the seed, the
copy and the example. Only the order is new in every epoch. Liu et al. 2019 (RoBERTa, arXiv:1907.11692, sec. 4.1)
compare this with masks that are drawn every time; the two differ only in runs with more epochs than copies.
"""

from functools import partial

import numpy as np

from bertlab.config.errors import InputError, at, own, whole_number
from bertlab.data.masking import Masked, Moment
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Drawn, Ints


class Static:
    """Corrupt and predict like `policy`, with equal masks each time the same copy of an example occurs."""

    def __init__(self, *, policy: object, copies: int) -> None:
        if not isinstance(policy, Drawn):
            raise InputError(
                f"{own('policy')} must depend on draws alone to be fixed, got {type(policy).__name__}; "
                f"choose for example mask@{own('policy')}=token"
            )
        self.policy = policy
        self.copies = whole_number("copies", copies, 1)

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Moment) -> Masked:
        """Return the corrupted copy."""
        copy, length = draw.epoch % self.copies, ids_BL.shape[1]
        with at("policy"):
            rows = [
                self.policy(ids_BL[row : row + 1], vocabulary, partial(draw.of_example, row=row, copy=copy))
                for row in range(len(ids_BL))
            ]
        return Masked(
            np.concatenate([masked.ids_BL for masked in rows]),
            np.concatenate([masked.position_M + row * length for row, masked in enumerate(rows)]),
            np.concatenate([masked.target_M for masked in rows]),
        )
