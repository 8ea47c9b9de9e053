"""Time to a target, if some runs never reach it.

Enters: tokens at which each run reached it, infinite for the others. Leaves: the share that has not reached it after t
tokens (Kaplan & Meier 1958) and the median. Without the unfinished runs a slow arm would look fast.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import CensoredData, ecdf

from bertlab.stats.curves import Reached


@dataclass(frozen=True)
class Survival:
    """`share[i]` of the runs had not reached the target at `tokens[i]`, over `n` runs (seeds)."""

    tokens: tuple[float, ...]
    share: tuple[float, ...]
    median: float  # infinite if fewer than half of the runs reached it
    n: int
    censored: int


def survival(reached: Reached) -> Survival:
    """Return the Kaplan-Meier estimate; runs that never reached the target count until their last evaluation.

    The median is the first time at which at most half are left. Raises ValueError for no run.
    """
    token_R = np.asarray(reached.tokens, dtype=np.float64)
    if not token_R.size:
        raise ValueError("survival needs at least one run, got none")
    never_R = np.isinf(token_R)
    function = ecdf(CensoredData.right_censored(np.where(never_R, reached.seen, token_R), never_R)).sf
    left = np.flatnonzero(function.probabilities <= 0.5 + 1e-12)
    return Survival(
        tokens=tuple(map(float, function.quantiles)),
        share=tuple(map(float, function.probabilities)),
        median=float(function.quantiles[left[0]]) if left.size else math.inf,
        n=token_R.size,
        censored=reached.censored,
    )
