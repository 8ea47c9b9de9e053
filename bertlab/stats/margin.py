"""The smallest effect of interest, as compute.

Enters: baseline curves over tokens, from exploration seeds only. Leaves: the margin delta, in units of the outcome:
what `share` more training tokens would buy at the end of training. It is frozen before the study runs and is never a
multiple of the spread seen in it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LAST = 0.5  # of the tokens: the part of a curve whose slope counts
FLAT = 1e-9  # of the outcome per unit of ln(tokens): rounding, no slope


@dataclass(frozen=True)
class Margin:
    """`delta` = |slope| * ln(1 + share); `slope` is the mean of `slopes`, one per seed, per unit of ln(tokens)."""

    delta: float
    share: float
    slope: float
    slopes: tuple[float, ...]
    points: int  # evaluations behind each slope


def worth_of_tokens(tokens_T: ArrayLike, outcome_ST: ArrayLike, share: float, last: float = LAST) -> Margin:
    """Return the margin "worth `share` of the training tokens": .05 for 5 %.

    Each seed's slope is the least-squares line of its outcome over ln(tokens), through the evaluations of the last
    `last` of the tokens. Raises ValueError for a share that is not positive, tokens that do not ascend, outcomes that
    are not finite, fewer than three evaluations in that part, and a flat curve.
    """
    token_T, y_ST = np.asarray(tokens_T, dtype=np.float64), np.atleast_2d(np.asarray(outcome_ST, dtype=np.float64))
    if not (0 < share < math.inf and 0 < last <= 1):
        raise ValueError(f"share must be positive and last lie in (0, 1], got {share} and {last}")
    if y_ST.shape[1:] != token_T.shape or not np.isfinite(y_ST).all():
        raise ValueError(f"outcomes must be finite, one per seed and evaluation, got shape {y_ST.shape}")
    if not (token_T[:1] > 0).all() or not (np.diff(token_T) > 0).all():
        raise ValueError(f"tokens must be positive and ascend, got {token_T.tolist()}")
    near_end = token_T >= token_T[-1] * (1 - last)
    if near_end.sum() < 3:
        raise ValueError(f"a slope needs three evaluations near the end, got {near_end.sum()}; evaluate more often")
    slope_S = np.polynomial.polynomial.polyfit(np.log(token_T[near_end]), y_ST[:, near_end].T, 1)[1]
    slope = float(slope_S.mean())
    if abs(slope) < FLAT * float(np.abs(y_ST).max()):
        raise ValueError("the baseline no longer changes near its end, so tokens are worth nothing; state nats instead")
    return Margin(abs(slope) * math.log1p(share), share, slope, tuple(map(float, slope_S)), int(near_end.sum()))
