"""Decomposition of a final difference: a later start, or something else.

Enters: for each run its outcome and its onset, the ln tokens at which it left the plateau of word frequencies. Leaves:
for each arm the part of its difference through the onset, and the part at equal onset. It is a decomposition and not a
correction: the arm causes the onset.

Analysis of covariance (Fisher 1932): outcome = arm + seed + slope * onset + error, with one slope for all arms and the
seed as block.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bertlab.stats.curves import Reached, checked, tokens_to_target
from bertlab.stats.flips import Floats
from bertlab.stats.interval import Interval, around, paired_t

MOSTLY = 2 / 3  # share of both parts together


@dataclass(frozen=True)
class Run:
    """One run: `start` in ln tokens; for a run that never left, the end of training, and `censored` is true."""

    arm: str
    seed: int
    outcome: float
    start: float
    censored: bool = False


@dataclass(frozen=True)
class Parts:
    """A paired difference (units of the outcome) and its parts, each with a 90 % interval over seeds.

    `later`: mean difference of the onsets in ln tokens, positive if the arm starts later. `censored`: number of runs of
    the arm that never left the plateau; their onset is a lower bound.
    """

    total: Interval
    through: Interval
    equal: Interval
    later: float
    censored: int

    @property
    def word(self) -> str:
        """Describe in a few words which part is larger, among parts whose interval excludes zero."""
        through, equal = (each.mean if each.excludes_zero else 0.0 for each in (self.through, self.equal))
        if not through and not equal:
            return "neither part is sure"
        share = abs(through) / (abs(through) + abs(equal))
        if 1 - MOSTLY < share < MOSTLY:
            return "both" if through * equal > 0 else "both, against each other"
        if share >= MOSTLY:
            return f"mostly {'a later' if self.later > 0 else 'an earlier'} start"
        return "mostly after the start"


@dataclass(frozen=True)
class Slope:
    """The cost of one unit of ln tokens of a later start (units of the outcome), over all arms, and the residual.

    `explained`: the share of the variance within arms and seeds that the onset explains.
    """

    slope: float
    se: float
    residual: float  # standard deviation of an outcome given arm, seed and onset
    df: int
    explained: float


def onsets(tokens_T: ArrayLike, gain_RT: ArrayLike, floor: float) -> Reached:
    """Return the tokens at which each run's context gain first passes the floor, linear in ln tokens between points.

    Infinite for runs that never pass it. Raises ValueError like `tokens_to_target`.
    """
    return tokens_to_target(tokens_T, -np.atleast_2d(np.asarray(gain_RT, dtype=np.float64)), -floor)


def common_slope(runs: Sequence[Run]) -> Slope:
    """Fit the slope of the outcome on the onset within arms and seeds, by least squares.

    Raises ValueError if no degree of freedom is left or all onsets are equal.
    """
    if not runs:
        raise ValueError("a slope on the onset needs runs that start apart, got none")
    y_R, x_R = (np.array([getattr(run, name) for run in runs]) for name in ("outcome", "start"))
    dummies_RD = np.hstack([_dummies([run.arm for run in runs]), _dummies([run.seed for run in runs])[:, 1:]])
    df = len(runs) - int(np.linalg.matrix_rank(dummies_RD)) - 1
    y_R, x_R = (values - dummies_RD @ np.linalg.lstsq(dummies_RD, values, rcond=None)[0] for values in (y_R, x_R))
    spread = float(x_R @ x_R)
    if df < 1 or spread < 1e-12:
        raise ValueError(f"a slope on the onset needs runs that start apart, got {len(runs)} runs and {df} degrees")
    slope = float(x_R @ y_R) / spread
    left = float(((y_R - slope * x_R) ** 2).sum())
    residual = math.sqrt(left / df)
    return Slope(slope, residual / math.sqrt(spread), residual, df, 1 - left / float(y_R @ y_R))


def decompose(runs: Sequence[Run], pairs: Mapping[str, str], level: float = 0.90) -> dict[str, Parts]:
    """Split the paired difference of every arm of `pairs` (arm -> reference) into through and at equal onset.

    through = slope * (mean difference of onsets), equal = total - through. Arms with fewer than three pairs, or with
    only censored runs, are left out. Raises ValueError like `common_slope`.
    """
    fitted = common_slope(runs)
    of = {(run.arm, run.seed): run for run in runs}
    found = {}
    for arm, reference in pairs.items():
        seeds = [seed for name, seed in of if name == arm and (reference, seed) in of]
        own, base = ([of[name, seed] for seed in seeds] for name in (arm, reference))
        censored = sum(run.censored for run in own)
        if len(seeds) >= 3 and censored < len(seeds) and not all(run.censored for run in base):
            found[arm] = _parts(own, base, fitted, level)
    return found


def at_equal_age(
    tokens_T: ArrayLike, own_ST: ArrayLike, base_ST: ArrayLike, starts: tuple[ArrayLike, ArrayLike], level: float = 0.90
) -> Interval:
    """Return the paired difference of curves aligned at their onsets, at the largest age that both reach.

    Age is ln(tokens / tokens at the onset). `starts`: ln tokens of the arm's runs and of the baseline's, finite.
    """
    token_T, own = checked(tokens_T, own_ST)
    base = checked(tokens_T, base_ST)[1]
    log_T = np.log(token_T)
    apart = []
    for own_T, base_T, mine, its in zip(own, base, *(np.asarray(start) for start in starts), strict=True):
        age = log_T[-1] - max(mine, its)
        apart.append(np.interp(mine + age, log_T, own_T) - np.interp(its + age, log_T, base_T))
    return paired_t(apart, level)


def _parts(own: Sequence[Run], base: Sequence[Run], fitted: Slope, level: float) -> Parts:
    d_S, x_S = (
        np.array([getattr(a, n) - getattr(b, n) for a, b in zip(own, base, strict=True)]) for n in ("outcome", "start")
    )
    n, later = d_S.size, float(x_S.mean())
    through, of_slope = fitted.slope * later, later * fitted.se
    equal_se = math.sqrt(2 * fitted.residual**2 / n + of_slope**2)
    through_se = math.sqrt(of_slope**2 + fitted.slope**2 * float(x_S.var(ddof=1)) / n)
    return Parts(
        total=paired_t(d_S, level),
        through=_around(through, through_se, n, min(fitted.df, n - 1), level),
        equal=_around(float(d_S.mean()) - through, equal_se, n, fitted.df, level),
        later=later,
        censored=sum(run.censored for run in own),
    )


def _around(mean: float, se: float, n: int, df: int, level: float) -> Interval:
    return around(mean, se * math.sqrt(n), n, df, level)


def _dummies(names: Sequence[object]) -> Floats:
    known = list(dict.fromkeys(names))
    return np.array([[float(name == each) for each in known] for name in names])
