"""The chance of a decision at the last look: certain cases, and a plain simulation of the seeds to come."""

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.claim import Expectation, decides
from bertlab.stats.futility import HOPELESS, decision_chance
from bertlab.stats.interval import Shared
from bertlab.stats.moderated import Prior
from bertlab.stats.rule import settled


def test_a_clear_study_will_decide_and_a_hopeless_one_will_not() -> None:
    rng = np.random.default_rng(0)
    assert decision_chance([0.0, 0.01, -0.01, 0.02, -0.02], 10, 1.0, 0.9, rng) > 0.99
    assert decision_chance([1.0, 1.5, 0.5, 1.2, 0.8], 10, 1.0, 0.9, rng) < 0.5
    spread = decision_chance([0.9, -0.7, 1.9, -1.2, 0.4], 6, 1.0, 0.9442, rng)
    assert spread < HOPELESS


def test_differences_without_spread_are_certain() -> None:
    assert decision_chance([0.5, 0.5, 0.5], 10, 1.0, 0.9, np.random.default_rng(0)) == 1.0


@pytest.mark.parametrize(("d", "last"), [([0.2, 0.9, -0.3], 8), ([-0.4, 0.4], 5)])
def test_the_chance_is_that_of_drawing_the_seeds_one_by_one(d: list[float], last: int) -> None:
    rng, n = np.random.default_rng(3), len(d)
    variance = np.var(d) * n / rng.chisquare(n - 1, (20_000, 1))
    truth = rng.normal(np.mean(d), np.sqrt(variance / n))
    study = np.hstack([np.tile(d, (20_000, 1)), rng.normal(truth, np.sqrt(variance), (20_000, last - n))])
    half = stats.t.ppf(0.95, last - 1) * study.std(1, ddof=1) / np.sqrt(last)
    for rule in (settled, *map(decides, Expectation)):
        decided = rule(study.mean(1) - half, study.mean(1) + half, 1.0)
        assert decision_chance(d, last, 1.0, 0.9, rng, rule) == pytest.approx(decided.mean(), abs=0.015)


def test_a_prior_is_in_the_posterior_and_in_the_interval_of_the_last_look() -> None:
    d, prior, rng = np.array([0.1, 0.5, -0.2, 0.4]), Prior(0.3, 5.0), np.random.default_rng(3)
    n, last, draws = 4, 8, 20_000
    variance = (prior.df * prior.variance + n * np.var(d)) / rng.chisquare(n - 1 + prior.df, (draws, 1))
    truth = rng.normal(np.mean(d), np.sqrt(variance / n))
    study = np.hstack([np.tile(d, (draws, 1)), rng.normal(truth, np.sqrt(variance), (draws, last - n))])
    df = last - 1 + prior.df
    moderated = np.sqrt((prior.df * prior.variance + (last - 1) * study.var(1, ddof=1)) / df)
    half = stats.t.ppf(0.95, df) * moderated / np.sqrt(last)
    decided = settled(study.mean(1) - half, study.mean(1) + half, 1.0)
    assert decision_chance(d, last, 1.0, 0.9, rng, settled, prior) == pytest.approx(decided.mean(), abs=0.015)
    wide = Prior(6.0, 20.0)  # differences usually spread far more than these four do
    assert decision_chance(d, last, 1.0, 0.9, rng, settled, wide) < 0.5


def test_what_counts_as_a_decision_depends_on_the_claim() -> None:
    d = [0.9, 1.3, 0.6, 1.1]
    worse, both = (
        decision_chance(d, 8, 1.0, 0.9, np.random.default_rng(1), rule)
        for rule in (decides(Expectation.WORSE), settled)
    )
    assert worse > 0.95
    assert both < 0.4


def test_an_arm_that_is_not_better_need_not_be_shown_to_be_as_good() -> None:
    """Its interval will include zero and reach the margin on the worse side, but still show the claim."""
    d = [0.9, -0.4, 1.4, 0.1, 0.6]
    chance = decision_chance(d, 8, 1.0, 0.9, np.random.default_rng(1), decides(Expectation.NOT_BETTER))
    assert chance > 0.9


def test_one_seed_to_come_is_enough() -> None:
    assert 0 < decision_chance([0.2, 0.4, -0.3], 4, 1.0, 0.9, np.random.default_rng(1)) < 1


@pytest.mark.parametrize(("d", "last"), [([0.1], 5), ([0.1, 0.2, 0.3], 3)])
def test_a_look_that_is_not_to_come_is_refused(d: list[float], last: int) -> None:
    with pytest.raises(ValueError, match="one to come"):
        decision_chance(d, last, 1.0, 0.9, np.random.default_rng(0))


def test_noise_of_the_text_lowers_the_chance_of_a_decision() -> None:
    """With it the half-width at the last look is t * sqrt(variance / n + shared), on the same text."""
    d, last, shared = [0.2, 0.9, -0.3], 8, Shared(0.05, 15)
    rng, n = np.random.default_rng(3), len(d)
    variance = np.var(d) * n / rng.chisquare(n - 1, (20_000, 1))
    later = rng.normal(rng.normal(np.mean(d), np.sqrt(variance / n)), np.sqrt(variance), (20_000, last - n))
    every = np.hstack([np.tile(d, (20_000, 1)), later])
    v = every.var(1, ddof=1) / last
    half = stats.t.ppf(0.95, (v + 0.05) ** 2 / (v**2 / (last - 1) + 0.05**2 / 15)) * np.sqrt(v + 0.05)
    decided = settled(every.mean(1) - half, every.mean(1) + half, 1.0)
    found = decision_chance(d, last, 1.0, 0.9, np.random.default_rng(5), shared=shared)
    assert found == pytest.approx(decided.mean(), abs=0.015)
    assert found < decision_chance(d, last, 1.0, 0.9, np.random.default_rng(5))
