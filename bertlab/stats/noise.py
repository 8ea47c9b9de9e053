"""Evaluation noise: the part of a difference due to the sample of text on which it was measured.

All seeds are scored on the same text, so its effect on an arm is the same in each of them: it adds to the variance of
the mean difference, and more seeds do not reduce it, only more text does. Enters: scores per part of the text or per
item. Leaves: that variance with its degrees of freedom, and how much text would be enough.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bertlab.stats.flips import Floats
from bertlab.stats.interval import Shared
from bertlab.stats.moderated import NO_PRIOR, Prior

LARGE = 0.10  # share of the variance above which the evaluation set should grow
MOST = 0.99  # shares above this are not known precisely enough


def between_chunks(difference_C: ArrayLike) -> Shared:
    """Return the variance of a mean over chunks of equal size, from the difference in each, averaged over seeds.

    Var(chunks) / C with C - 1 degrees of freedom. With d = mean + seed + chunk + error this expects chunk^2 / C +
    error^2 / (seeds C). The second term is also in the variance between seeds: it counts twice, and is small. Raises
    ValueError for fewer than two chunks and for differences that are not finite.
    """
    d_C = np.asarray(difference_C, dtype=np.float64)
    if d_C.ndim != 1 or d_C.size < 2 or not np.isfinite(d_C).all():
        raise ValueError(f"two finite chunks or more are needed, got {d_C.tolist()}")
    return Shared(float(d_C.var(ddof=1)) / d_C.size, d_C.size - 1)


def of_answers(rates: ArrayLike, items: int) -> Shared:
    """Return the variance of a difference of two shares of right answers to the same items: binomial.

    An upper bound: it assumes independent errors of both arms, on the same items with every seed. Raises ValueError for
    rates outside [0, 1] and for no items.
    """
    rate = np.asarray(rates, dtype=np.float64)
    if items < 1 or not ((rate >= 0) & (rate <= 1)).all():
        raise ValueError(f"rates must lie in [0, 1] and items be at least 1, got {rate.tolist()} and {items}")
    return Shared(float((rate * (1 - rate)).sum()) / items)


def text_needed(share: float, sequences: int) -> int:
    """Return how many sequences reduce the text's share of a variance to `LARGE`, if `sequences` give `share`.

    The text's part falls as 1 / sequences; the rest stays. A share above `MOST` counts as `MOST`.
    """
    share = min(share, MOST)
    return math.ceil(round(sequences * max(1.0, share * (1 - LARGE) / (LARGE * (1 - share))), 6))


@dataclass(frozen=True)
class Between:
    """Variances of one run's outcome: `text`, of the evaluated text without effects common to all runs, and `total`."""

    text: float
    total: float

    def share(self, prior: Prior = NO_PRIOR, df: float = 1.0) -> float:
        """Return the text's share of the variance of a paired difference, moderated by the regime's prior.

        Both runs of a pair contribute. At most 1.
        """
        sd, _ = prior.moderated(math.sqrt(2 * self.total), df)
        return min(1.0, 2 * self.text / sd**2) if sd else float(self.text > 0)


def between_runs(loss_SC: ArrayLike) -> Between:
    """Return the variances of runs of one arm from their losses per chunk, for the mean over chunks.

    The difficulty of a chunk moves all runs alike. The residual of loss = run + chunk + error, divided by the number of
    chunks, is the text's variance (variance components; Searle, Casella & McCulloch 1992, ch. 3).
    Raises ValueError for fewer than two runs or chunks and for losses that are not finite.
    """
    y_SC = np.asarray(loss_SC, dtype=np.float64)
    if y_SC.ndim != 2 or min(y_SC.shape) < 2 or not np.isfinite(y_SC).all():
        raise ValueError(f"losses must be finite, two runs or more by two chunks or more, got shape {y_SC.shape}")
    runs, chunks = y_SC.shape
    residual_SC: Floats = y_SC - y_SC.mean(axis=1, keepdims=True) - y_SC.mean(axis=0) + y_SC.mean()
    mean_square = float((residual_SC**2).sum()) / ((runs - 1) * (chunks - 1))
    return Between(mean_square / chunks, float(y_SC.mean(axis=1).var(ddof=1)))
