"""Sign flips: the exact test of paired differences.

Enters: one difference per seed. Leaves: a p-value. Without an effect and with symmetric differences every pattern of
signs is equally likely, so the 2^n patterns *are* the null distribution (Fisher 1935; Good 2005, ch. 3). Symmetry is
natural here: when arm and baseline have the same distribution, d = arm - baseline has the distribution of -d.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
MOST = 16  # seeds whose 65,536 patterns are enumerated; a study has 3 to 10


def signs(n: int) -> Floats:
    """Return all sign vectors [2^n, n]; the first leaves the data unchanged.

    Above 16 seeds there are 2^16 random ones, equal for every call, and that first one: including it makes the p valid
    (Phipson & Smyth 2010). Raises ValueError for no seed.
    """
    if n < 1:
        raise ValueError(f"sign flips need at least one seed, got {n}")
    if n > MOST:
        generator = np.random.Generator(np.random.Philox(0))
        return np.vstack([np.ones(n), generator.choice((-1.0, 1.0), (2**MOST, n))])
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return np.asarray(1 - 2 * bits, dtype=np.float64)


def alignment(differences_AS: Floats) -> Floats:
    """Return |sum of flipped d| / (sqrt(n) * |d|) for every pattern and arm, [2^n, A], each in [0, 1].

    Flips leave the sum of squares alone, so this orders patterns as |t| does (t^2 = (n - 1) u^2 / (1 - u^2)) and
    stays finite where t does not. An arm without any difference has 0.
    """
    n = differences_AS.shape[1]
    norm_A = np.sqrt(n * (differences_AS**2).sum(axis=1))
    sum_FA = np.abs(signs(n) @ differences_AS.T)
    return np.asarray(np.divide(sum_FA, norm_A, out=np.zeros_like(sum_FA), where=norm_A > 0))


def sign_flip_p(differences: ArrayLike) -> float:
    """Return the two-sided p, exact to 16 seeds: the share of sign patterns whose |mean| is at least the observed one.

    The smallest value is 2 / 2^n: .25 for three seeds. Raises ValueError for values that are not finite.
    """
    difference_S = np.asarray(differences, dtype=np.float64).ravel()
    if not np.isfinite(difference_S).all():
        raise ValueError(f"differences must be finite, got {difference_S.tolist()}")
    return at_least(alignment(difference_S[None])[:, 0])


def at_least(statistic_F: Floats, observed: float | None = None) -> float:
    """Return the share of patterns at or above the observed value (the first pattern's), up to rounding."""
    reference = float(statistic_F[0]) if observed is None else observed
    return float((statistic_F >= reference - 1e-12).mean())
