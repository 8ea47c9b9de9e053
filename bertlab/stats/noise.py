"""How much of the spread between seeds is only the evaluation's own sampling noise.

Enters: an outcome (or paired difference) per seed, with losses per chunk of the evaluation text or a standard error.
Leaves: the noise's share of the variance between seeds. A large share calls for a larger evaluation set, which is
cheaper than more seeds (variance components; Searle, Casella & McCulloch 1992, ch. 3).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LARGE = 0.10  # share above which the evaluation set should grow


@dataclass(frozen=True)
class Noise:
    """Variances of a seed's outcome: `noise` from the sample of evaluation text, `total` between the seeds seen.

    Over the seeds given. A share above 1 happens by chance where seeds hardly differ.
    """

    noise: float
    total: float

    @property
    def share(self) -> float:
        """Return noise / total; infinite for noise without any spread, 0 for neither."""
        if self.total > 0:
            return self.noise / self.total
        return math.inf if self.noise > 0 else 0.0

    @property
    def large(self) -> bool:
        """True when the evaluation set should be enlarged rather than seeds added."""
        return self.share > LARGE


def from_chunks(loss_SC: ArrayLike) -> Noise:
    """Return the share from losses per seed and chunk, chunks of equal size, for the mean over chunks.

    All seeds read the same text, so how hard a chunk is shifts every seed alike and is no part of the spread between
    seeds. What is left, the residual of loss = seed + chunk + error, divided by the number of chunks, is.
    Raises ValueError for fewer than two seeds or chunks and for losses that are not finite.
    """
    y_SC = np.asarray(loss_SC, dtype=np.float64)
    if y_SC.ndim != 2 or min(y_SC.shape) < 2 or not np.isfinite(y_SC).all():
        raise ValueError(f"losses must be finite, two seeds or more by two chunks or more, got shape {y_SC.shape}")
    seeds, chunks = y_SC.shape
    residual_SC = y_SC - y_SC.mean(axis=1, keepdims=True) - y_SC.mean(axis=0) + y_SC.mean()
    mean_square = float((residual_SC**2).sum()) / ((seeds - 1) * (chunks - 1))
    return Noise(mean_square / chunks, float(y_SC.mean(axis=1).var(ddof=1)))


def from_standard_errors(outcome_S: ArrayLike, standard_error_S: ArrayLike) -> Noise:
    """Return the share from one standard error per seed, or one for all.

    An upper bound: a standard error over text also holds how hard the text is, which seeds share.
    Raises ValueError for fewer than two seeds and for values that are not finite.
    """
    y_S, se_S = np.asarray(outcome_S, dtype=np.float64), np.asarray(standard_error_S, dtype=np.float64)
    if y_S.ndim != 1 or y_S.size < 2 or not (np.isfinite(y_S).all() and np.isfinite(se_S).all()):
        raise ValueError(f"two or more finite outcomes with finite standard errors are needed, got {y_S.tolist()}")
    return Noise(float((np.broadcast_to(se_S, y_S.shape) ** 2).mean()), float(y_S.var(ddof=1)))
