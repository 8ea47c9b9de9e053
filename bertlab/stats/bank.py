"""An arm against a bank: many baseline runs, made once for a regime, that arms of several studies share.

Enters: outcomes of the arm's runs and of the bank's. Leaves: their difference with a standard error (Welch 1947); its
variances are moderated by the regime's prior. It is useful if pairing is not: with rho below .5, 24 runs of a bank and
five of an arm give more than five pairs.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bertlab.stats.interval import Shared
from bertlab.stats.moderated import NO_PRIOR, Prior


@dataclass(frozen=True)
class Apart:
    """A difference of means with its standard error and degrees of freedom."""

    mean: float
    se: float
    df: float


def bank_noise(bank_B: ArrayLike, prior: Prior = NO_PRIOR) -> Shared:
    """Return the variance of the bank's mean, which all runs of an arm share; needs at least two runs."""
    bank = np.asarray(bank_B, dtype=np.float64).ravel()
    sd, df = prior.moderated(float(bank.std(ddof=1)), bank.size - 1)
    return Shared(sd**2 / bank.size, df)


def against_bank(arm_S: ArrayLike, bank_B: ArrayLike, prior: Prior = NO_PRIOR) -> Apart:
    """Return mean(arm) - mean(bank), se^2 = v_arm / S + v_bank / B, and Welch-Satterthwaite degrees of freedom.

    `prior` is that of one run's variance, not of a paired difference's. Raises ValueError for outcomes that are not
    finite and for fewer than two runs on either side.
    """
    arm, bank = (np.asarray(values, dtype=np.float64).ravel() for values in (arm_S, bank_B))
    if min(arm.size, bank.size) < 2 or not (np.isfinite(arm).all() and np.isfinite(bank).all()):
        raise ValueError(f"two finite outcomes or more are needed on each side, got {arm.size} and {bank.size}")
    part, df = [], []
    for runs in (arm, bank):
        sd, own = prior.moderated(float(runs.std(ddof=1)), runs.size - 1)
        part.append(sd**2 / runs.size)
        df.append(own)
    total = sum(part)
    squares = sum(each**2 / own for each, own in zip(part, df, strict=True))
    return Apart(float(arm.mean() - bank.mean()), math.sqrt(total), total**2 / squares if squares else df[0])
