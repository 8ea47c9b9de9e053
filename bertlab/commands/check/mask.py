"""Contracts of masking policies, on 54,000 tokens, two segments per row, with padding.

Each contract takes a policy and raises AssertionError. Legend: B sequences, L length.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bertlab.commands.check.require import require
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary
from bertlab.mask import Masked, MaskPolicy, Moment
from bertlab.mask.corrupt import Ints
from bertlab.streams import Streams

VOCABULARY = Vocabulary([*SPECIALS, *(f"##{n}" for n in range(31)), *(f"w{n}" for n in range(67))])
ROWS, LENGTH = 463, 127
DRAWS = 4  # batches for measuring a rate
TOLERANCE = 0.015  # of a rate; 4 standard errors if several tokens are chosen together


def _sequences() -> Ints:
    rng = Streams(4).generator("order")
    ids = rng.integers(len(SPECIALS), VOCABULARY.size, (ROWS, LENGTH))
    ids[rng.random(ids.shape) < 0.01] = UNK
    ids[:, 0], ids[:, 60], ids[:, -1] = CLS, SEP, SEP
    ids[::5, 100:] = PAD
    return ids


IDS_BL = _sequences()
REAL_BL = len(SPECIALS) <= IDS_BL


def moment(seed: int = 0, step: int = 0, progress: float = 0.5, epoch: int = 0, first: int = 0) -> Moment:
    """Return the moment of a batch of ROWS examples."""
    return Moment(Streams(seed), step, progress, epoch, np.arange(first, first + ROWS))


def apply(policy: MaskPolicy, **when: Any) -> Masked:
    """Return a policy's output for IDS_BL."""
    return policy(IDS_BL, VOCABULARY, moment(**when))


def same(one: Masked, other: Masked) -> bool:
    """Return whether two outputs are equal."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def special_tokens_and_padding_are_neither_predicted_nor_changed(policy: MaskPolicy) -> None:
    """[PAD], [UNK], [CLS], [SEP] and [MASK]; and of these only [MASK] may replace a token."""
    masked = apply(policy)
    require((masked.target_M >= len(SPECIALS)).all(), "a special token is predicted")
    require((masked.ids_BL == IDS_BL)[~REAL_BL].all(), "a special token is changed")
    made = masked.ids_BL[REAL_BL]
    real = (made >= len(SPECIALS)) & (made < VOCABULARY.size)
    require((real | (made == MASK)).all(), "a token became a special one other than [MASK], or none of the vocabulary")


def the_input_is_not_changed_and_shapes_are_kept(policy: MaskPolicy) -> None:
    """64-bit integers, and a copy of the input."""
    before = IDS_BL.copy()
    masked = apply(policy)
    require(np.array_equal(IDS_BL, before) and not np.shares_memory(masked.ids_BL, IDS_BL), "the input is not copied")
    require(masked.ids_BL.shape == IDS_BL.shape, f"ids of shape {masked.ids_BL.shape} for {IDS_BL.shape}")
    require(masked.position_M.shape == masked.target_M.shape, "other numbers of positions and targets")
    kinds = {each.dtype.name for each in (masked.ids_BL, masked.position_M, masked.target_M)}
    require(kinds == {"int64"}, f"arrays must hold int64, got {', '.join(sorted(kinds))}")


def positions_ascend_and_targets_are_the_originals(policy: MaskPolicy) -> None:
    """The target is the token at the position itself, or `ahead` positions later."""
    masked = apply(policy)
    require(len(masked.position_M), "nothing is predicted")
    require((np.diff(masked.position_M) > 0).all(), "positions must ascend")
    original_M = IDS_BL.reshape(-1)[masked.position_M + getattr(policy, "ahead", 0)]
    require(np.array_equal(masked.target_M, original_M), "a target is not the token that was there")


def the_same_moment_gives_the_same_masks(policy: MaskPolicy) -> None:
    """Random numbers come only from the argument."""
    require(same(apply(policy), apply(policy)), "two calls with equal draws differ; draw from draw(...) alone")


def text_without_a_real_token_has_nothing_to_predict(policy: MaskPolicy) -> None:
    """And is unchanged."""
    ids_1L = np.array([[CLS, UNK, SEP, PAD]])
    masked = policy(ids_1L, VOCABULARY, Moment(Streams(0), 0, 0.0, 0, np.array([0])))
    require(np.array_equal(masked.ids_BL, ids_1L), "text of special tokens is changed")
    require(len(masked.position_M) == len(masked.target_M) == 0, "a special token is predicted")


def the_rate_is_the_share_of_predicted_tokens(policy: MaskPolicy) -> None:
    """For policies with a number `rate`; others may predict any share."""
    rate = getattr(policy, "rate", None)
    if isinstance(rate, float):
        share = np.mean([len(apply(policy, step=step).position_M) for step in range(DRAWS)]) / REAL_BL.sum()
        require(abs(share - rate) < TOLERANCE, f"{share:.3f} of the tokens are predicted at a rate of {rate:g}")


CONTRACTS: tuple[Callable[[MaskPolicy], None], ...] = (
    special_tokens_and_padding_are_neither_predicted_nor_changed,
    the_input_is_not_changed_and_shapes_are_kept,
    positions_ascend_and_targets_are_the_originals,
    the_same_moment_gives_the_same_masks,
    text_without_a_real_token_has_nothing_to_predict,
    the_rate_is_the_share_of_predicted_tokens,
)
