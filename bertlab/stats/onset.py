"""Decomposition of a final difference: a later start, or something else.

Enters: for each run its outcome (lower is better) and its onset, the ln tokens at which it left the plateau of word
frequencies. Leaves: for each arm the part of its difference through the onset, the part at equal onset, and a few words
on both. It is a decomposition and not a correction: the arm causes the onset.

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

LEVEL = 0.90  # of intervals
MOSTLY = 2 / 3  # share of both parts together
FEWEST = 5  # degrees of freedom that the slope needs, see Slope.is_enough
TOO_FEW = "not known: too few runs"


@dataclass(frozen=True)
class Run:
    """One run: its outcome, and `start` in ln tokens.

    For a run that never left, `start` is the end of training, a lower bound, and `censored` is true. For a run that had
    left by its first evaluation it is that evaluation, an upper bound, and `early` is true.
    """

    arm: str
    seed: int
    outcome: float
    start: float
    censored: bool = False
    early: bool = False


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
        """Describe the parts in a few words; a part is sure if its interval excludes zero.

        *Mostly* needs a part that is sure and has two thirds of the sizes of both point estimates, sure or not.
        """
        start, after = self.through.excludes_zero, self.equal.excludes_zero
        share = abs(self.through.mean) / (abs(self.through.mean) + abs(self.equal.mean) or 1.0)
        if start and share >= MOSTLY:
            return f"mostly {'a later' if self.later > 0 else 'an earlier'} start"
        if after and share <= 1 - MOSTLY:
            return "mostly after the start"
        if start and after:
            return "both" if self.through.mean * self.equal.mean > 0 else "both, against each other"
        if start or after:
            return "only the start is sure" if start else "only what follows the start is sure"
        return "neither part is sure"


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

    @property
    def interval(self) -> Interval:
        """The slope with its interval at 90 %."""
        return around(self.slope, self.se, 1, self.df, LEVEL)

    @property
    def is_enough(self) -> bool:
        """Whether the degrees of freedom carry a decomposition: 5 or more.

        Chosen by simulation: two to six arms of three to eight seeds, a slope of 0.45 nats for one ln token, onsets
        that spread by 0.12, losses by 0.04 or 0.08 nats, onsets read exactly or with an error of 0.05; a difference
        that is all a later start, all after it, equal parts, or opposed parts. Of the answers of `Parts.word` that
        named a part, 29 to 34 % named the wrong one with 1 degree (two arms of three seeds; nearly all where the
        difference was a later start), 16 to 23 % with 2, and 9 to 25 % with 3. From 5 on it was 5 to 15 % for five
        seeds or more, and 12 to 23 % for three or four.
        """
        return self.df >= FEWEST


def onsets(tokens_T: ArrayLike, gain_RT: ArrayLike, floor: float) -> Reached:
    """Return the tokens at which each run's context gain first passes the floor, linear in ln tokens between points.

    Infinite for runs that never pass it, an upper bound for `early` ones. Raises ValueError like `tokens_to_target`.
    """
    return tokens_to_target(tokens_T, -np.atleast_2d(np.asarray(gain_RT, dtype=np.float64)), -floor)


def common_slope(runs: Sequence[Run]) -> Slope:
    """Fit the slope of the outcome on the onset within arms and seeds, by least squares.

    Arms without a measured onset say nothing of it and are left out: their bounds are all equal. Raises ValueError if
    no degree of freedom is left or all onsets are equal.
    """
    measured = {run.arm for run in runs if not (run.censored or run.early)}
    runs = [run for run in runs if run.arm in measured]
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


def decompose(runs: Sequence[Run], pairs: Mapping[str, str], level: float = LEVEL) -> dict[str, Parts]:
    """Split the paired difference of every arm of `pairs` (arm -> reference) into through and at equal onset.

    through = slope * (mean difference of onsets), equal = total - through. Arms with fewer than three pairs are left
    out, and those of which, or of whose reference, half of the onsets or more are bounds on one side. Raises ValueError
    like `common_slope`.
    """
    fitted = common_slope(runs)
    of = {(run.arm, run.seed): run for run in runs}
    found = {}
    for arm, reference in pairs.items():
        seeds = [seed for name, seed in of if name == arm and (reference, seed) in of]
        own, base = ([of[name, seed] for seed in seeds] for name in (arm, reference))
        if len(seeds) >= 3 and is_measured(own) and is_measured(base):
            found[arm] = _parts(own, base, fitted, level)
    return found


def is_measured(runs: Sequence[Run]) -> bool:
    """Return whether fewer than half of the onsets are lower bounds, and fewer than half upper ones."""
    return 2 * max(sum(run.censored for run in runs), sum(run.early for run in runs)) < len(runs)


def aligned_word(total: Interval, aligned: Interval | None) -> str:
    """Describe a difference by its curves aligned at their onsets, where a slope would have too few degrees of freedom.

    Decisive only if the whole difference has the same sign and both intervals exclude zero. At equal age the run that
    started earlier is read before its learning rate has fallen to its end, which is in favour of the later one; the
    whole difference is in favour of the earlier one. The difference at equal onset lies between them.
    """
    if aligned is None or not (total.excludes_zero and aligned.excludes_zero) or total.mean * aligned.mean < 0:
        return TOO_FEW
    return f"{'worse' if aligned.mean > 0 else 'better'} at equal onset"


def at_equal_age(
    tokens_T: ArrayLike,
    own_ST: ArrayLike,
    base_ST: ArrayLike,
    starts: tuple[ArrayLike, ArrayLike],
    level: float = LEVEL,
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
