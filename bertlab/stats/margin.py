"""The smallest effect of interest, as compute.

Enters: baseline curves over tokens, from exploration seeds only. Leaves: the margin delta, in units of the outcome: the
gain of `share` more training tokens at the end of training. It is frozen before the study runs and never depends on the
spread in the study.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bertlab.stats.interval import Interval, mean_t

LAST, FEWEST = 0.5, 4  # last share of the tokens where the slope is measured, and the evaluations needed there
LEVEL, ROUGH = 0.90, 0.20  # level of the margin's interval; largest half-width relative to the margin
FLAT = 1e-9  # slope per unit of ln(tokens) that is only rounding


@dataclass(frozen=True)
class Margin:
    """`delta` = |slope| * ln(1 + share); `slope` is the mean of `slopes`, one per seed, per unit of ln(tokens)."""

    delta: float
    share: float
    slope: float
    slopes: tuple[float, ...]
    points: int  # evaluations used for each slope

    @property
    def interval(self) -> Interval:
        """The interval of `delta` over seeds; without ends for a single seed."""
        return mean_t(np.sign(self.slope) * np.array(self.slopes) * math.log1p(self.share), LEVEL)

    @property
    def rough(self) -> bool:
        """Whether `delta` is imprecise, by more than 20 % in either direction: more exploration seeds are needed."""
        return not self.interval.high - self.delta <= ROUGH * self.delta

    def meaning(self, delta: float) -> float:
        """Return the share of the tokens that equals a margin of `delta` by this slope."""
        return math.expm1(min(delta / abs(self.slope), 700.0))


def worth_of_tokens(
    tokens_T: ArrayLike, outcome_ST: ArrayLike, share: float, last: float = LAST, fewest: int = FEWEST
) -> Margin:
    """Return the margin "worth `share` of the training tokens": .05 for 5 %.

    Each seed's slope is the least-squares line of its outcome over ln(tokens), through the evaluations of the last
    `last` of the tokens. Raises ValueError for a share that is not positive, tokens that do not ascend, outcomes that
    are not finite, fewer than `fewest` evaluations in that part, and a flat curve.
    """
    token_T, y_ST = np.asarray(tokens_T, dtype=np.float64), np.atleast_2d(np.asarray(outcome_ST, dtype=np.float64))
    if not (0 < share < math.inf and 0 < last <= 1):
        raise ValueError(f"share must be positive and last lie in (0, 1], got {share} and {last}")
    if y_ST.shape[1:] != token_T.shape or not np.isfinite(y_ST).all():
        raise ValueError(f"outcomes must be finite, one per seed and evaluation, got shape {y_ST.shape}")
    if not (token_T[:1] > 0).all() or not (np.diff(token_T) > 0).all():
        raise ValueError(f"tokens must be positive and ascend, got {token_T.tolist()}")
    near_end = token_T >= token_T[-1] * (1 - last)
    if near_end.sum() < fewest:
        raise ValueError(f"a slope needs {fewest} evaluations near the end, got {near_end.sum()}; evaluate more often")
    slope_S = np.polynomial.polynomial.polyfit(np.log(token_T[near_end]), y_ST[:, near_end].T, 1)[1]
    slope = float(slope_S.mean())
    if abs(slope) < FLAT * float(np.abs(y_ST).max()):
        raise ValueError("the baseline no longer changes near its end, so tokens are worth nothing; state nats instead")
    return Margin(abs(slope) * math.log1p(share), share, slope, tuple(map(float, slope_S)), int(near_end.sum()))
