"""Power of a study of n seeds, before it runs.

Enters: seeds, standard deviation of a paired difference, true effect, margin. Leaves: the chance of each verdict, for
normal differences, and the number of seeds needed for a decision. Exact, by integration over the sampling distribution
of the standard deviation (like Owen 1965 for two one-sided tests): given the half-width, the mean is normal. With a
regime's prior the half-width is that of the moderated t, at a true spread of `sd`.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, special, stats

from bertlab.stats.flips import Floats
from bertlab.stats.interval import NOTHING_SHARED, Shared, half_width
from bertlab.stats.moderated import NO_PRIOR, Prior
from bertlab.stats.rule import BY_INTERVAL, Decides, Kind, codes, one_of, settled

POWER = 0.80  # target chance of a decision
FEWEST = 3  # least seeds for a verdict
MOST = 100  # questions that need more seeds are not worth asking here
NODES = 100


@dataclass(frozen=True)
class Precision:
    """The precision of `n` paired seeds; lengths are in standard deviations of a difference."""

    n: int
    smallest_p: float  # two-sided sign-flip p
    half_width: float  # of the 90 % interval
    detectable: float  # effect that a two-sided 5 % t test finds in 80 % of studies
    decidable: float  # margin within which no effect is found EQUIVALENT in 80 % of studies


def chances(
    n: int, sd: float, effect: float, margin: float, level: float = 0.90, prior: Prior = NO_PRIOR
) -> dict[Kind, float]:
    """Return the probability of each verdict that an interval decides, over studies of `n` seeds.

    d_s ~ Normal(effect, sd^2), positive = worse.
    Raises ValueError for fewer than two seeds, a negative spread or a margin that is not positive.
    """
    low_P, high_P, share_P = _pieces(n, sd, effect, (margin, level), prior)
    totals = np.bincount(codes(low_P, high_P, margin), share_P, minlength=len(BY_INTERVAL))
    return dict(zip(BY_INTERVAL, map(float, totals), strict=True))


def _pieces(
    n: int, sd: float, effect: float, rule: tuple[float, float], prior: Prior, shared: Shared = NOTHING_SHARED
) -> tuple[Floats, Floats, Floats]:
    """Return intervals and their probabilities; each interval represents its neighbourhood.

    For each possible half-width h the bounds +-margin +- h and +-h cut the axis of the mean into pieces with one
    verdict each; each piece is represented by an interval about its centre, and normal probabilities are averaged over
    h. `rule`: margin and level. `shared` only widens intervals: `effect` is the one on the given text.
    """
    margin, level = rule
    if n < 2 or sd < 0 or not margin > 0:
        raise ValueError(f"n >= 2, sd >= 0 and margin > 0 are needed, got n={n}, sd={sd}, margin={margin}")
    if sd == 0:
        half = float(half_width(0.0, n - 1, shared, level))
        return np.array([effect - half]), np.array([effect + half]), np.ones(1)
    spread_K, weight_K = _spreads(n - 1)
    se = sd / math.sqrt(n)
    df = n - 1 + prior.df
    variance_K = (prior.df * prior.variance + (n - 1) * (sd * spread_K) ** 2) / df / n
    half_K = half_width(variance_K, df, shared, level)
    bounds = np.add.outer(half_K, [-margin, 0.0, margin]), np.add.outer(-half_K, [-margin, 0.0, margin])
    bound_KB = np.sort(np.hstack(bounds), axis=1)
    far = np.full((NODES, 1), abs(effect) + 40 * se + margin + half_K.max())
    edge_KB = np.hstack([-far, bound_KB, far])
    centre_KP = (edge_KB[:, 1:] + edge_KB[:, :-1]) / 2
    share_KP = weight_K[:, None] * np.diff(special.ndtr((edge_KB - effect) / se), axis=1)
    low_KP, high_KP = centre_KP - half_K[:, None], centre_KP + half_K[:, None]
    return low_KP.ravel(), high_KP.ravel(), share_KP.ravel()


def chance(
    n: int,
    sd: float,
    effect: float,
    margin: float,
    level: float = 0.90,
    decides: Decides = settled,
    prior: Prior = NO_PRIOR,
    shared: Shared = NOTHING_SHARED,
) -> float:
    """Return the probability of an interval that decides; other arguments as in `chances`.

    `shared`: noise of the evaluated text, which widens intervals and which more seeds do not reduce.
    """
    low_P, high_P, share_P = _pieces(n, sd, effect, (margin, level), prior, shared)
    return float(share_P[decides(low_P, high_P, margin)].sum())


def seeds_needed(
    sd: float,
    effect: float,
    margin: float,
    level: float = 0.90,
    decides: Decides = settled,
    fewest: int = FEWEST,
    prior: Prior = NO_PRIOR,
    shared: Shared = NOTHING_SHARED,
) -> int | None:
    """Return the fewest seeds, from `fewest` on, with an 80 % chance of a decision; None if 100 are too few.

    No number of seeds decides a true effect equal to the margin.
    """
    sizes = range(max(fewest, FEWEST), MOST + 1)
    return next((n for n in sizes if chance(n, sd, effect, margin, level, decides, prior, shared) >= POWER), None)


def precision(n: int) -> Precision:
    """Return the row of the planning table for `n` seeds (Owen 1965)."""
    df, root = n - 1, math.sqrt(n)
    critical = float(stats.t.ppf(0.975, df))
    spread_K, weight_K = _spreads(df)

    def short_of_power(effect: float) -> float:
        # the noncentral t, averaged over the spread: scipy returns nan in its far tail
        above_K = special.ndtr(effect * root - critical * spread_K) + special.ndtr(-effect * root - critical * spread_K)
        return POWER - float(weight_K @ above_K)

    def undecided(margin: float) -> float:
        return POWER - chance(n, 1.0, 0.0, margin, decides=one_of({Kind.EQUIVALENT}))

    return Precision(
        n=n,
        smallest_p=2.0 ** (1 - n),
        half_width=float(stats.t.ppf(0.95, df)) / root,
        detectable=float(optimize.brentq(short_of_power, 0.1, 10.0)),
        decidable=float(optimize.brentq(undecided, 0.1, 10.0)),
    )


@cache
def _spreads(df: int) -> tuple[Floats, Floats]:
    """Return values of s / sigma and their weights: Gauss-Legendre nodes in the quantiles of chi-squared."""
    node_K, weight_K = np.polynomial.legendre.leggauss(NODES)
    return np.sqrt(stats.chi2.ppf((node_K + 1) / 2, df) / df), weight_K / 2
