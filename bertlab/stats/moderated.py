"""Variances from few seeds, shrunk towards the usual variance of their regime (limma's empirical Bayes).

Enters: variances of paired differences with their degrees of freedom, of many contrasts of one regime. Leaves: the
regime's prior, and the variance of one contrast with the prior's degrees of freedom added to its own. The model is
s^2 ~ sigma^2 chi^2_d / d with 1 / sigma^2 ~ chi^2_d0 / (d0 s0^2); the mean over its moderated standard error is then
distributed as t with d0 + d degrees of freedom (Smyth 2004, doi:10.2202/1544-6115.1027, sec. 3 and 6).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from bertlab.stats.flips import Floats

FEWEST_CONTRASTS = 10  # for a prior: fewer say little about differences between variances


@dataclass(frozen=True)
class Prior:
    """The usual variance of a paired difference (`variance`, squared units of the outcome), with `df`, its weight.

    `df`: degrees of freedom; with 0 it has no effect. `contrasts`: how many it was fitted to.
    """

    variance: float
    df: float
    contrasts: int = 0

    def moderated(self, sd: float, df: float) -> tuple[float, float]:
        """Return the square root of (d0 s0^2 + d s^2) / (d0 + d), and its degrees of freedom d0 + d.

        An unknown spread (`df` 0) stays unknown.
        """
        if self.df == 0 or df < 1:
            return sd, df
        total = self.df + df
        return math.sqrt((self.df * self.variance + df * sd**2) / total), total


NO_PRIOR = Prior(0.0, 0.0)


def fit_prior(variance_C: ArrayLike, df_C: ArrayLike) -> Prior:
    """Fit the prior by the moments of log variances, like limma's fitFDist.

    With e = ln s^2 - digamma(d / 2) + ln(d / 2): trigamma(d0 / 2) = var(e) - mean(trigamma(d / 2)) and
    ln s0^2 = mean(e) + digamma(d0 / 2) - ln(d0 / 2). If log variances differ no more than by sampling, d0 is unbounded:
    s0^2 is then the pooled variance, and d0 its degrees of freedom, which are also the upper bound of every other d0
    (limma's df.pooled). Raises ValueError for fewer than three contrasts, and for variances or degrees of freedom that
    are not positive and finite.
    """
    s2_C, d_C = np.asarray(variance_C, dtype=np.float64), np.asarray(df_C, dtype=np.float64)
    _check(s2_C, d_C)
    e_C = np.log(s2_C) - special.digamma(d_C / 2) + np.log(d_C / 2)
    excess = float(e_C.var(ddof=1) - special.polygamma(1, d_C / 2).mean())
    pooled = float(d_C.sum())
    if excess <= 0:
        return Prior(float((d_C * s2_C).sum()) / pooled, pooled, s2_C.size)
    df = 2 * trigamma_inverse(excess)
    variance = math.exp(float(e_C.mean()) + float(special.digamma(df / 2)) - math.log(df / 2))
    return Prior(variance, min(df, pooled), s2_C.size)


def trigamma_inverse(value: float) -> float:
    """Return x > 0 with trigamma(x) = value; trigamma falls from infinity to 0, between 1/x and 1/x + 1/x^2."""
    low, high = 1 / value, 1 / value + 1 / math.sqrt(value)
    return float(optimize.brentq(lambda x: special.polygamma(1, x) - value, low, high, xtol=1e-12 * low))


def _check(s2_C: Floats, d_C: Floats) -> None:
    if s2_C.ndim != 1 or s2_C.shape != d_C.shape or s2_C.size < 3:
        raise ValueError(f"a prior needs the variances of three contrasts or more, got shape {s2_C.shape}")
    known = np.isfinite(s2_C) & np.isfinite(d_C) & (s2_C > 0) & (d_C > 0)
    if not known.all():
        raise ValueError(f"variances and degrees of freedom must be positive and finite, got {s2_C[~known].tolist()}")
