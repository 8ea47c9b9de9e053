"""Corrections for several claims at once.

Enters: p-values. Leaves: p-values adjusted for their number. Tests for independent groups (Dunnett) are wrong here:
arms share the seeds and the baseline.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bertlab.stats.flips import Floats


def holm(p_RA: ArrayLike) -> Floats:
    """Return p-values adjusted over the last axis, for the chance of any false rejection (Holm 1979).

    The smallest is multiplied by their number, the next by one less, ..., never below the one before. Rejecting if the
    adjusted p is at most alpha makes any error with probability at most alpha, for any dependence between arms.
    Raises ValueError for a p outside [0, 1] and for no p.
    """
    p_RA = _checked(p_RA)
    order_RA = np.argsort(p_RA, axis=-1, kind="stable")
    left_A = np.arange(p_RA.shape[-1], 0, -1)
    adjusted_RA = np.minimum(np.maximum.accumulate(np.take_along_axis(p_RA, order_RA, -1) * left_A, axis=-1), 1.0)
    return np.take_along_axis(adjusted_RA, np.argsort(order_RA, axis=-1), -1)


def q_values(p_C: ArrayLike) -> Floats:
    """Return for each claim the smallest false discovery rate at which it is rejected (Benjamini-Hochberg 1995).

    Raises ValueError for a p outside [0, 1] and for no p.
    """
    return np.asarray(stats.false_discovery_control(_checked(p_C)))


def _checked(p: ArrayLike) -> Floats:
    values = np.asarray(p, dtype=np.float64)
    if not values.size or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values in [0, 1] are needed, got {values.tolist()}")
    return values
