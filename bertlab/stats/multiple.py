"""Several arms against one baseline, without the luck of many tries.

Enters: one p-value per registered primary contrast of a family, or the paired differences of all arms. Leaves: adjusted
p-values, decisions, and the level at which each contrast's interval is read. Tests for independent groups (Dunnett) are
wrong here: the arms share the seeds and the baseline.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bertlab.stats.flips import alignment, at_least


@dataclass(frozen=True)
class Holm:
    """Step-down decisions in the order of the family.

    `alphas`: the one-sided level at which each contrast was tested. Its verdict reads the interval of level
    1 - 2 * alpha (`levels`); one primary alone keeps alpha = .05 and the 90 % interval.
    """

    adjusted: tuple[float, ...]
    rejected: tuple[bool, ...]
    alphas: tuple[float, ...]

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the intervals from which the verdicts are read."""
        return tuple(1 - 2 * alpha for alpha in self.alphas)


def holm(p: ArrayLike, alpha: float = 0.05) -> Holm:
    """Test a family of m claims, smallest p first, at alpha / m, alpha / (m - 1), ... until one fails (Holm 1979).

    A claim that fails, and all after it, are judged at the level of the first failure. With the one-sided p of the
    claims (bertlab/stats/claim.py) the chance of any false support in the family is at most alpha, whatever the
    dependence between arms. Refutations are read from the same intervals, never at more than alpha each.
    Raises ValueError for a p outside [0, 1], an empty family and a level outside (0, 1).
    """
    p_C = np.asarray(p, dtype=np.float64).ravel()
    if not p_C.size or not ((p_C >= 0) & (p_C <= 1)).all():
        raise ValueError(f"a family needs p-values in [0, 1], got {p_C.tolist()}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie in (0, 1), got {alpha}")
    order = np.argsort(p_C, kind="stable")
    left = np.arange(p_C.size, 0, -1)  # claims not yet rejected at each step
    adjusted = np.minimum(np.maximum.accumulate(p_C[order] * left), 1.0)
    steps = int((adjusted <= alpha).sum())
    tested = alpha / left[np.minimum(np.arange(p_C.size), steps)]
    back = np.argsort(order)
    return Holm(
        adjusted=tuple(map(float, adjusted[back])),
        rejected=tuple(map(bool, (np.arange(p_C.size) < steps)[back])),
        alphas=tuple(map(float, tested[back])),
    )


def max_t_p(difference_AS: ArrayLike) -> tuple[float, ...]:
    """Return two-sided p-values adjusted for the arms, by flipping the signs of whole seeds (single-step max-|t|).

    Each of the 2^n sign vectors flips every arm alike, which keeps the arms' dependence; an arm's p is the share of
    patterns whose largest |t| over arms reaches its own (Westfall & Young 1993). Rows are arms, columns seeds. It tests
    that no arm differs and gives no interval: verdicts use `holm`. Raises ValueError for values that are not finite.
    """
    d_AS = np.asarray(difference_AS, dtype=np.float64)
    if d_AS.ndim != 2 or not np.isfinite(d_AS).all():
        raise ValueError(f"differences must be a finite table of arms by seeds, got {d_AS.tolist()}")
    aligned_FA = alignment(d_AS)
    largest_F = aligned_FA.max(axis=1)
    return tuple(at_least(largest_F, float(own)) for own in aligned_FA[0])
