"""How often a claim is wrongly SUPPORTED or REFUTED: simulated studies of several arms, judged like real ones.

Enters: the claim, the true differences of its arms in margins, the noise, the looks and a regime's prior. Leaves: the
share of studies with each finding. An arm stops at the first look that decides it; all arms share the baseline's runs.
Lengths are in margins. All seeds of an arm are scored on the same text, which adds noise that its parts reveal.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bertlab.stats.claim import BOUND, WORSE_SIDE, Expectation, Finding, claim_p, decided
from bertlab.stats.flips import Floats
from bertlab.stats.interval import errors
from bertlab.stats.looks import overall_p_of
from bertlab.stats.moderated import NO_PRIOR, Prior

Outcomes = Callable[[np.random.Generator, tuple[int, int, int]], Floats]  # studies, arms and baseline, seeds

TRUTHS = (0.0, 0.5, -0.5, 1.0, -1.0)  # margins
CLEAR = 4.0  # margins
CHUNKS = 16  # parts of the held-out text


@dataclass(frozen=True)
class Setting:
    """A study to simulate: one expectation of all arms, and the true difference of each (positive = worse)."""

    expectation: Expectation
    effects: tuple[float, ...]
    looks: tuple[int, ...]
    prior: Prior = NO_PRIOR
    text: float = 0.0  # standard deviation of what the sample of held-out text adds to a difference, in margins


def normal(sd: float) -> Outcomes:
    """Return normal outcomes whose paired differences have standard deviation `sd`."""
    return lambda rng, shape: sd / np.sqrt(2) * rng.standard_normal(shape)


def empirical(outcomes: ArrayLike, margin: float) -> Outcomes:
    """Return outcomes drawn with replacement from those of real runs, in margins about their mean."""
    values = np.asarray(outcomes, dtype=np.float64)
    return lambda rng, shape: rng.choice((values - values.mean()) / margin, shape)


def unequal(prior: Prior) -> Outcomes:
    """Return normal outcomes with unequal spread: each arm's variance is drawn from a regime's prior."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
        sd_RA = np.sqrt(prior.df * prior.variance / rng.chisquare(prior.df, shape[:2]))
        sd_RA[:, 0] = 0.0  # the baseline: a difference then has the spread of its arm
        return np.asarray(sd_RA[..., None] * rng.standard_normal(shape))

    return draw


def finding_rates(setting: Setting, noise: Outcomes, studies: int, rng: np.random.Generator) -> dict[Finding, float]:
    """Return the share of studies in which the claim about all arms has each finding."""
    y_RAS = noise(rng, (studies, 1 + len(setting.effects), setting.looks[-1]))
    d_RAS = y_RAS[:, 1:] - y_RAS[:, :1] + np.array(setting.effects)[:, None]
    text_RAC = setting.text * np.sqrt(CHUNKS) * rng.standard_normal((*d_RAS.shape[:2], CHUNKS))
    d_RAS += text_RAC.mean(axis=-1, keepdims=True)
    supports_RA, refutes_RA = _followed(d_RAS, text_RAC.var(axis=-1, ddof=1) / CHUNKS, setting)
    refuted_R = refutes_RA.any(axis=1)
    supported_R = supports_RA.all(axis=1) & ~refuted_R
    undecided_R = ~refuted_R & ~supported_R
    shares = {Finding.SUPPORTED: supported_R, Finding.REFUTED: refuted_R, Finding.UNDECIDED: undecided_R}
    return {found: float(each.mean()) for found, each in shares.items()}


def worst_rates(
    expectation: Expectation,
    arms: int,
    looks: tuple[int, ...],
    noise: Outcomes,
    studies: int,
    rng: np.random.Generator,
    prior: Prior = NO_PRIOR,
    text: float = 0.0,
) -> dict[str, float]:
    """Return the largest rates of false supports and false refutations over truths of 0, half a margin and a margin.

    A support is false if one arm makes the claim false while the others are as claimed. A refutation is false if all
    arms are at the truth and the claim holds. At its bound a claim counts as both.
    """
    rates = {"false SUPPORTED": 0.0, "false REFUTED": 0.0}
    for truth in TRUTHS:
        holds = _beyond(expectation, truth)
        if holds <= 0:
            effects = (truth, *(_as_claimed(expectation),) * (arms - 1))
            found = finding_rates(Setting(expectation, effects, looks, prior, text), noise, studies, rng)
            rates["false SUPPORTED"] = max(rates["false SUPPORTED"], found[Finding.SUPPORTED])
        if holds >= 0:
            found = finding_rates(Setting(expectation, (truth,) * arms, looks, prior, text), noise, studies, rng)
            rates["false REFUTED"] = max(rates["false REFUTED"], found[Finding.REFUTED])
    return rates


def _beyond(expectation: Expectation, truth: float) -> float:
    """Return by how many margins a claim holds at a true difference; 0 at its bound, negative if it is false."""
    if expectation is Expectation.EQUIVALENT:
        return 1 - abs(truth)
    apart = truth - BOUND[expectation]
    return apart if expectation in WORSE_SIDE else -apart


def _as_claimed(expectation: Expectation) -> float:
    """Return a true difference, in margins, that any study finds to be as claimed."""
    if expectation is Expectation.EQUIVALENT:
        return 0.0
    return BOUND[expectation] + (CLEAR if expectation in WORSE_SIDE else -CLEAR)


def _followed(d_RAS: Floats, text_RA: Floats, setting: Setting) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether arms support and refute the claim, each at its deciding or last look.

    `text_RA`: the measured variance of a mean difference due to the text.
    """
    support_RA, refute_RA = (np.ones(d_RAS.shape[:2]) for _ in range(2))
    open_RA = np.ones(d_RAS.shape[:2], dtype=bool)
    for n in setting.looks:
        support, refute = _p(d_RAS[..., :n], text_RA, setting)
        support_RA, refute_RA = np.where(open_RA, support, support_RA), np.where(open_RA, refute, refute_RA)
        supports_RA, refutes_RA = decided(support_RA, refute_RA)
        open_RA &= ~(supports_RA | refutes_RA)
    return supports_RA, refutes_RA


def _p(d_RAS: Floats, text_RA: Floats, setting: Setting) -> tuple[Floats, Floats]:
    n, prior = d_RAS.shape[-1], setting.prior
    df = n - 1 + prior.df
    variance_RA = (prior.df * prior.variance + (n - 1) * d_RAS.var(axis=-1, ddof=1)) / df
    by_error = errors(variance_RA / n, df, text_RA, CHUNKS - 1)
    both = claim_p(setting.expectation, d_RAS.mean(axis=-1), *by_error, 1.0)
    support, refute = (overall_p_of(p_KRA.max(axis=0), setting.looks) for p_KRA in both)
    return support, refute
