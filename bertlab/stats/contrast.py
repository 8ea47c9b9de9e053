"""An arm against the baseline over the same seeds, or against a bank of baseline runs.

Enters: one outcome per seed and arm. Leaves: every paired difference d_s = arm(s) - baseline(s), their mean and spread,
and intervals over seeds. Effects of the seed that both arms share cancel in d_s: Var(d) = 2 s^2 (1 - rho), so pairing
is worth 1 / (1 - rho) times the seeds (common random numbers; Law 2015, sec. 11.2).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from bertlab.stats.bank import against_bank
from bertlab.stats.flips import Floats, sign_flip_p
from bertlab.stats.interval import NOTHING_SHARED, Interval, Shared, around, errors
from bertlab.stats.moderated import NO_PRIOR, Prior


@dataclass(frozen=True)
class Contrast:
    """Differences of one arm (units of the outcome), in the order of the seeds, and their statistics.

    `sd`: of the differences themselves. `moderated_sd` and `df`: basis of intervals, including the regime's prior or
    the bank. `rho`: correlation of arm and baseline over seeds; NaN with fewer than three seeds or without any spread.
    `text`: noise of the evaluated text in the mean, which all seeds share; None if unknown.
    """

    differences: tuple[float, ...]
    mean: float
    sd: float
    n: int
    sign_flip_p: float
    rho: float
    moderated_sd: float
    df: float
    text: Shared | None = None

    @property
    def text_share(self) -> float:
        """The share of the evaluated text in the variance of the mean; NaN if unknown."""
        if self.text is None or not self.n:
            return math.nan
        whole = self.text.variance + self.moderated_sd**2 / self.n
        return self.text.variance / whole if whole else 0.0

    @property
    def seeds_saved(self) -> float:
        """How many times more seeds an unpaired comparison would need: 1 / (1 - rho)."""
        return math.inf if self.rho >= 1 else 1 / (1 - self.rho)

    @property
    def errors(self) -> tuple[Floats, Floats]:
        """Standard errors of the mean and their degrees of freedom, of the seeds alone and with noise of the text [K].

        A test holds if it holds with each.
        """
        text = self.text or NOTHING_SHARED
        return errors(self.moderated_sd**2 / self.n, self.df, text.variance, text.df)

    def own(self, level: float = 0.90) -> Interval:
        """Interval over seeds from these differences, t with n - 1 degrees of freedom; without noise of the text."""
        return around(self.mean, self.sd, self.n, max(self.n - 1, 0), level)

    def interval(self, level: float = 0.90) -> Interval:
        """Interval over seeds and evaluated texts that gives the verdict: moderated t.

        It is the same in every study of the regime.
        """
        return around(self.mean, self.moderated_sd, self.n, self.df, level, self.text or NOTHING_SHARED)


def contrast(arm: ArrayLike, baseline: ArrayLike, prior: Prior = NO_PRIOR, text: Shared | None = None) -> Contrast:
    """Pair an arm with the baseline, [S] each in the same order of seeds. `text`: noise of the evaluated text.

    Raises ValueError for unequal numbers of seeds and for an outcome that is not finite: whether a diverged seed
    decides the verdict is settled before differences are taken (bertlab/stats/verdict.py).
    """
    arm_S, base_S = (np.asarray(values, dtype=np.float64).ravel() for values in (arm, baseline))
    if arm_S.size != base_S.size:
        raise ValueError(f"arm and baseline must share their seeds, got {arm_S.size} and {base_S.size} outcomes")
    d_S = arm_S - base_S
    _refuse_diverged(d_S)
    n = d_S.size
    sd = float(d_S.std(ddof=1)) if n > 1 else math.nan
    moderated_sd, df = prior.moderated(sd, max(n - 1, 0))
    found = _described(d_S, float(d_S.mean()) if n else math.nan, _correlation(arm_S, base_S), moderated_sd, df)
    return replace(found, text=text)


def bank_contrast(arm: ArrayLike, bank: ArrayLike, prior: Prior = NO_PRIOR, text: Shared | None = None) -> Contrast:
    """Compare an arm's runs [S] with a bank of the baseline's [B], unpaired (bertlab/stats/bank.py).

    `text` as in `contrast`. `differences` are to the bank's mean. Raises ValueError like `against_bank`.
    """
    arm_S, bank_B = (np.asarray(values, dtype=np.float64).ravel() for values in (arm, bank))
    apart = against_bank(arm_S, bank_B, prior)
    d_S = arm_S - bank_B.mean()
    return replace(_described(d_S, apart.mean, math.nan, apart.se * math.sqrt(d_S.size), apart.df), text=text)


def _described(d_S: Floats, mean: float, rho: float, moderated_sd: float, df: float) -> Contrast:
    n = d_S.size
    return Contrast(
        differences=tuple(map(float, d_S)),
        mean=mean,
        sd=float(d_S.std(ddof=1)) if n > 1 else math.nan,
        n=n,
        sign_flip_p=sign_flip_p(d_S) if n else math.nan,
        rho=rho,
        moderated_sd=moderated_sd,
        df=df,
    )


def _refuse_diverged(values: Floats) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"outcomes must be finite, got {values.tolist()}; a diverged seed is judged before pairing")


def _correlation(arm_S: Floats, base_S: Floats) -> float:
    if arm_S.size < 3 or not (np.ptp(arm_S) and np.ptp(base_S)):
        return math.nan
    return float(np.clip(np.corrcoef(arm_S, base_S)[0, 1], -1, 1))
