"""Futility: whether the remaining seeds can still decide.

Enters: the paired differences so far and the last look. Leaves: the chance of a decision there. Non-binding: continuing
anyway inflates no error, because stopping without a decision claims nothing.
"""

import numpy as np
from numpy.typing import ArrayLike

from bertlab.stats.interval import NOTHING_SHARED, Shared, half_width
from bertlab.stats.moderated import NO_PRIOR, Prior
from bertlab.stats.rule import Decides, settled

HOPELESS = 0.10  # a study may stop below this chance of a decision at the last look
DRAWS = 20_000


def decision_chance(
    differences: ArrayLike,
    last: int,
    margin: float,
    level: float,
    rng: np.random.Generator,
    decides: Decides = settled,
    prior: Prior = NO_PRIOR,
    shared: Shared = NOTHING_SHARED,
) -> float:
    """Return the predictive probability of a decision when `last` seeds are in.

    `differences` [n], positive = worse. Future seeds are drawn given those seen, with mean and variance from their
    posterior (Spiegelhalter, Abrams & Myles 2004, sec. 6.6), so the uncertainty of the spread counts. `prior` is the
    regime's, in this posterior as in the verdict's own variance; without one both use only the seeds. `shared`: noise
    of the evaluated text, which future seeds share too. `level` is that of the interval at the last look. Raises
    ValueError for fewer than two seeds and for a last look in the past.
    """
    d_S = np.asarray(differences, dtype=np.float64).ravel()
    n, more = d_S.size, last - d_S.size
    if n < 2 or more < 1:
        raise ValueError(f"at least two seeds and one to come are needed, got {n} seeds and a last look at {last}")
    mean, squares = float(d_S.mean()), float(((d_S - d_S.mean()) ** 2).sum())
    squares += prior.df * prior.variance
    variance_D = squares / rng.chisquare(n - 1 + prior.df, DRAWS)
    truth_D = rng.normal(mean, np.sqrt(variance_D / n))
    later_D = rng.normal(truth_D, np.sqrt(variance_D / more))  # mean of the future seeds
    later_squares_D = variance_D * rng.chisquare(more - 1, DRAWS) if more > 1 else np.zeros(DRAWS)
    total_D = squares + later_squares_D + n * more / last * (mean - later_D) ** 2
    mean_D, df = (n * mean + more * later_D) / last, last - 1 + prior.df
    half_D = half_width(total_D / df / last, df, shared, level)
    return float(decides(mean_D - half_D, mean_D + half_D, margin).mean())
