"""A claim over a ladder of sizes: how an effect, as a factor of training tokens, changes with compute.

Enters: at each rung (size and tokens) the slope of the baseline's final losses, and an arm's difference. Leaves: the
arm's token multiplier with its interval, a line through the rungs, and the predicted interval of the next rung, which
is registered before that rung runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from bertlab.stats.flips import Floats
from bertlab.stats.interval import Interval, around

PREDICTED = 0.80  # level of the interval of the next rung
LEVEL = 0.90  # of a multiplier's interval


@dataclass(frozen=True)
class Rung:
    """An effect at one size: ln token multiplier (positive = better than the baseline) with its standard error.

    `df`: degrees of freedom of `se`. `compute`: FLOPs of a run, or anything proportional to them.
    """

    compute: float
    multiplier: float
    se: float
    df: float = math.inf

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the interval of the multiplier."""
        return around(self.multiplier, self.se, 1, self.df, level)


@dataclass(frozen=True)
class Line:
    """ln multiplier = intercept + slope * (ln compute - centre), with the scatter that the rungs' errors leave open.

    `covariance`: of intercept and slope. `between`: variance of a rung about the line in addition to its own error.
    `df`: number of rungs minus two; unbounded if the rungs' own errors explain the scatter, because nothing is
    estimated then. Two rungs are always on a line and give no `between`: they count as one degree of freedom, the
    widest t.
    """

    intercept: float
    slope: float
    centre: float
    covariance: Floats
    between: float
    df: float

    def slope_interval(self, level: float = LEVEL) -> Interval:
        """Return the interval of the slope."""
        return around(self.slope, math.sqrt(float(self.covariance[1, 1])), 1, self.df, level)

    def predicted(self, compute: float, se: float, level: float = PREDICTED) -> Interval:
        """Return the predicted interval of a rung at `compute` with standard error `se`.

        Variance: of the line there, of rungs about the line, and of the rung's own measurement. Student's t with the
        line's degrees of freedom. Simulated coverage of four rungs' 80 % intervals: 80 to 87 %; of two rungs' at least
        80 %, if rungs scatter about the line by at most twice their own errors.
        """
        x = np.array([1.0, math.log(compute) - self.centre])
        variance = float(x @ self.covariance @ x) + self.between + se**2
        return around(float(x @ (self.intercept, self.slope)), math.sqrt(variance), 1, self.df, level)


def by_slope(compute: float, difference: Interval, slope: float, slope_se: float = 0.0) -> Rung:
    """Return the rung of a difference of losses (arm minus baseline) by the baseline's local slope.

    ln multiplier = difference / slope; slope: of final losses per ln(tokens), negative. For example, an arm whose loss
    is higher by the gain of a tenth more tokens needs a tenth more. Delta method. Raises ValueError for a flat slope.
    """
    if not (math.isfinite(slope) and slope < 0):
        raise ValueError(f"the baseline must improve with tokens, got a slope of {slope}")
    multiplier = difference.mean / slope
    return Rung(compute, multiplier, math.hypot(difference.se, multiplier * slope_se) / abs(slope), difference.df)


def fit_line(rungs: Sequence[Rung]) -> Line:
    """Fit ln multiplier against ln compute; rungs have weight 1 / (their variance + that between rungs).

    The variance between rungs is that of random-effects meta-regression by moments (DerSimonian & Laird 1986; Thompson
    & Sharp 1999), zero if the rungs' own errors explain the scatter. Raises ValueError for fewer than two rungs and for
    equal compute.
    """
    if len({rung.compute for rung in rungs}) < 2:
        raise ValueError(f"a line needs rungs of different compute, got {[rung.compute for rung in rungs]}")
    x_R = np.log([rung.compute for rung in rungs])
    y_R, variance_R = np.array([rung.multiplier for rung in rungs]), np.array([rung.se**2 for rung in rungs])
    centre = float(x_R.mean())
    design_R2 = np.stack([np.ones_like(x_R), x_R - centre], axis=1)
    beta, covariance = _weighted(design_R2, y_R, variance_R)
    weight_R = 1 / variance_R
    residual = float((weight_R * (y_R - design_R2 @ beta) ** 2).sum())
    squared = design_R2.T @ (weight_R[:, None] ** 2 * design_R2)
    trace = float(weight_R.sum() - np.trace(covariance @ squared))
    df = len(rungs) - 2
    if not df:
        return Line(float(beta[0]), float(beta[1]), centre, covariance, 0.0, 1.0)
    between = max(0.0, (residual - df) / trace)
    beta, covariance = _weighted(design_R2, y_R, variance_R + between)
    return Line(float(beta[0]), float(beta[1]), centre, covariance, between, df if between else math.inf)


def _weighted(design_R2: Floats, y_R: Floats, variance_R: Floats) -> tuple[Floats, Floats]:
    """Return coefficients and their covariance by weighted least squares with known variances."""
    covariance = np.linalg.inv(design_R2.T @ (design_R2 / variance_R[:, None]))
    return np.asarray(covariance @ (design_R2.T @ (y_R / variance_R))), np.asarray(covariance)


@dataclass(frozen=True)
class Coverage:
    """How many predictions were right, and the probability of so few at their level."""

    held: int
    made: int
    p: float


def coverage(inside: Sequence[bool], level: float = PREDICTED) -> Coverage:
    """Count predictions whose rung was inside; p: probability of so few or fewer, binomial."""
    held, made = sum(inside), len(inside)
    p = float(special.bdtr(held, made, level)) if made else 1.0
    return Coverage(held, made, p)
