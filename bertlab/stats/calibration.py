"""How often the rule is right: simulated studies with a known truth.

Enters: the shape of the noise, the looks, the true effect in margins. Leaves: the share of studies that reach each
verdict, stopping at the first look that settles. Lengths are in margins: delta = 1.

The t rule assumes nearly symmetric differences. Arms whose outcomes are equally skewed have symmetric differences. An
arm with other skewness than the baseline's has not, and no rule can see the missing tail in 3 to 10 numbers. But it can
see the distance to the margin: an EQUIVALENT with a mean within half the margin is not such an error, if the true
spread is at most half the margin.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bertlab.stats.flips import Floats
from bertlab.stats.looks import interval_level, look_alpha
from bertlab.stats.rule import BY_INTERVAL, SETTLED, Kind, codes
from bertlab.stats.verdict import CENTRAL

Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


@dataclass(frozen=True)
class Truth:
    """A study to simulate: noise of the differences (mean 0, variance 1), looks, spread and true effect in margins."""

    noise: str
    looks: tuple[int, ...]
    sd: float
    effect: float


def _gamma(rng: np.random.Generator, shape: tuple[int, int], skewness: float) -> Floats:
    """Draw centred gamma values of variance 1: shape parameter k = 4 / skewness^2."""
    k = 4 / skewness**2
    return np.asarray((rng.gamma(k, size=shape) - k) / np.sqrt(k))


def _lognormal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Draw centred lognormal values of variance 1 and skewness 1.75."""
    sigma = 0.5
    variance = np.expm1(sigma**2) * np.exp(sigma**2)
    return np.asarray((rng.lognormal(0, sigma, shape) - np.exp(sigma**2 / 2)) / np.sqrt(variance))


NOISES: Mapping[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "t(3)": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
    "both arms exponential": lambda rng, shape: (
        (rng.exponential(size=shape) - rng.exponential(size=shape)) / np.sqrt(2)
    ),
    "both arms lognormal": lambda rng, shape: (_lognormal(rng, shape) - _lognormal(rng, shape)) / np.sqrt(2),
    "difference skewed .3": lambda rng, shape: _gamma(rng, shape, skewness=0.3),
    "difference skewed 1": lambda rng, shape: _gamma(rng, shape, skewness=1.0),
    "difference exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "difference lognormal": _lognormal,
}


def rates(truth: Truth, studies: int, rng: np.random.Generator) -> dict[Kind, float]:
    """Return the share of simulated studies with each verdict.

    At every look the interval has the level of the registered looks (bertlab/stats/looks.py); a study stops at the
    first look that is EQUIVALENT or material.
    """
    d_RS = truth.effect + truth.sd * NOISES[truth.noise](rng, (studies, truth.looks[-1]))
    level = interval_level(truth.looks)
    by_look_LR = np.array([_verdicts(d_RS[:, :n], level) for n in truth.looks])
    settled_LR = np.isin(by_look_LR, [BY_INTERVAL.index(kind) for kind in SETTLED])
    settled_LR[-1] = True
    verdict_R = by_look_LR[settled_LR.argmax(axis=0), np.arange(studies)]
    share = np.bincount(verdict_R, minlength=len(BY_INTERVAL)) / studies
    return dict(zip(BY_INTERVAL, map(float, share), strict=True))


def false_centrals(noise: str, looks: tuple[int, ...], sd: float, studies: int, rng: np.random.Generator) -> float:
    """Return the share of studies at a true difference of one margin that are EQUIVALENT with a central mean.

    Central: the mean so far lies within `CENTRAL` margins; see `rates` for the looks and `Truth` for `sd`.
    """
    d_RS = 1 + sd * NOISES[noise](rng, (studies, looks[-1]))
    level = interval_level(looks)
    settled = [BY_INTERVAL.index(kind) for kind in SETTLED]
    over_R, false_R = np.zeros(studies, bool), np.zeros(studies, bool)
    for n in looks:
        found_R = _verdicts(d_RS[:, :n], level)
        same_R = found_R == BY_INTERVAL.index(Kind.EQUIVALENT)
        false_R |= ~over_R & same_R & (np.abs(d_RS[:, :n].mean(axis=1)) <= CENTRAL)
        over_R |= np.isin(found_R, settled)
    return float(false_R.mean())


def false_positives(noise: str, looks: tuple[int, ...], studies: int, rng: np.random.Generator) -> float:
    """Return the share of studies without an effect in which a test for worse at the looks' level ever rejects."""
    d_RS = NOISES[noise](rng, (studies, looks[-1]))
    alpha = look_alpha(looks)
    rejects = [_t(d_RS[:, :n]) > stats.t.ppf(1 - alpha, n - 1) for n in looks]
    return float(np.any(rejects, axis=0).mean())


def _verdicts(d_RS: Floats, level: float) -> NDArray[np.intp]:
    n = d_RS.shape[1]
    half_R = stats.t.ppf((1 + level) / 2, n - 1) * d_RS.std(axis=1, ddof=1) / np.sqrt(n)
    mean_R = d_RS.mean(axis=1)
    return codes(mean_R - half_R, mean_R + half_R, 1.0)


def _t(d_RS: Floats) -> Floats:
    return np.asarray(d_RS.mean(axis=1) / (d_RS.std(axis=1, ddof=1) / np.sqrt(d_RS.shape[1])))
