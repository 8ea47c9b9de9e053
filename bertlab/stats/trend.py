"""The shape of an outcome along an ordered factor, such as the masking rate.

Enters: one outcome per seed and level of the factor. Leaves: slope and curvature over x = ln(factor), or over the
factor itself, tested over seeds, and the interval of the best value. Each seed has its own parabola y = a + b x + c x^2
(summary measures; Matthews et al. 1990), with x measured from the middle of the levels.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bertlab.stats.flips import Floats
from bertlab.stats.interval import Interval, mean_t

SCALES = ("linear", "log")
LARGEST = 700.0  # ln of about the largest float


@dataclass(frozen=True)
class Best:
    """The factor's value at the best point, in the factor's own units, with its interval over seeds.

    `value` is NaN and the interval unbounded unless the data show a minimum (`shown`). `inside`: the whole interval is
    within the tried levels; else the best value is an extrapolation.
    """

    value: float
    low: float
    high: float
    level: float
    shown: bool
    inside: bool


@dataclass(frozen=True)
class Trend:
    """Slope at the middle level and curvature (2 c), both per unit of x, over seeds, with two-sided p of zero."""

    slope: Interval
    curvature: Interval
    slope_p: float
    curvature_p: float
    best: Best


def trend(
    factor_M: ArrayLike,
    outcome_SM: ArrayLike,
    level: float = 0.90,
    *,
    lower_is_better: bool = True,
    scale: str = "log",
) -> Trend:
    """Fit a parabola in ln(factor), or in the factor itself (`scale` linear), per seed and test its shape over seeds.

    Slope and curvature are those of the outcome itself; the best value is a minimum, or a maximum when higher is
    better. Raises ValueError for an unknown scale, fewer than two seeds, fewer than three distinct levels, levels that
    are not positive on a log scale, and outcomes that are not finite.
    """
    value_M, y_SM = np.asarray(factor_M, dtype=np.float64), np.asarray(outcome_SM, dtype=np.float64)
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale}")
    if y_SM.ndim != 2 or y_SM.shape[0] < 2 or y_SM.shape[1:] != value_M.shape or not np.isfinite(y_SM).all():
        raise ValueError(f"outcomes must be finite, two seeds or more by one per level, got shape {y_SM.shape}")
    if np.unique(value_M).size < 3 or (scale == "log" and not (value_M > 0).all()):
        raise ValueError(f"a parabola in ln(factor) needs three distinct positive levels, got {value_M.tolist()}")
    x_M = np.log(value_M) if scale == "log" else value_M
    middle = float(x_M.mean())
    _, b_S, c_S = np.polynomial.polynomial.polyfit(x_M - middle, y_SM.T, 2)
    sign = 1.0 if lower_is_better else -1.0
    best = _best(sign * b_S, sign * 2 * c_S, level, middle, (float(x_M.min()), float(x_M.max())))
    return Trend(
        slope=mean_t(b_S, level),
        curvature=mean_t(2 * c_S, level),
        slope_p=_p(b_S),
        curvature_p=_p(c_S),
        best=_exponential(best) if scale == "log" else best,
    )


def _best(slope_S: Floats, curve_S: Floats, level: float, middle: float, tried: tuple[float, float]) -> Best:
    """Return the x at which the mean derivative, slope + curve * x, is not significantly nonzero (Fieller 1954).

    (m_b + m_c x)^2 <= t^2 (v_b + 2 v_bc x + v_c x^2) bounds x only if the curvature m_c itself differs from zero; it
    must also be positive, else the vertex is no minimum.
    """
    n = slope_S.size
    t_squared = float(stats.t.ppf((1 + level) / 2, n - 1)) ** 2
    v_b, v_bc, v_c = (t_squared * np.cov(slope_S, curve_S)[np.triu_indices(2)] / n).tolist()
    m_b, m_c = float(slope_S.mean()), float(curve_S.mean())
    square, linear, constant = m_c**2 - v_c, m_b * m_c - v_bc, m_b**2 - v_b
    if square <= 0 or m_c <= 0:
        return Best(math.nan, -math.inf, math.inf, level, shown=False, inside=False)
    root = math.sqrt(max(linear**2 - square * constant, 0.0))
    low, high = (middle + (-linear + side * root) / square for side in (-1, 1))
    inside = tried[0] <= low and high <= tried[1]
    return Best(middle - m_b / m_c, low, high, level, shown=True, inside=inside)


def _exponential(best: Best) -> Best:
    """Return the best value in the factor's own units from one in ln(factor)."""
    value, low, high = (float(np.exp(min(x, LARGEST))) for x in (best.value, best.low, best.high))
    return replace(best, value=value, low=low, high=high if best.high < LARGEST else math.inf)


def _p(value_S: Floats) -> float:
    """Return the two-sided p of the t test of mean zero."""
    se = float(value_S.std(ddof=1)) / math.sqrt(value_S.size)
    if se == 0:
        return 1.0 if value_S.mean() == 0 else 0.0
    return 2 * float(stats.t.sf(abs(float(value_S.mean())) / se, value_S.size - 1))
