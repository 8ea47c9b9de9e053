"""Contrasts against hand values and scipy: paired, moderated by a prior, and to a bank."""

import math

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.contrast import bank_contrast, contrast
from bertlab.stats.interval import around
from bertlab.stats.moderated import Prior

ARM, BASE = np.array([3.1, 3.3, 3.2, 3.6, 3.4]), np.array([3.0, 3.1, 3.3, 3.3, 3.2])


def test_a_contrast_by_hand() -> None:
    found = contrast(ARM, BASE)  # differences .1 .2 -.1 .3 .2: sum of squares about the mean .092
    assert found.differences == pytest.approx((0.1, 0.2, -0.1, 0.3, 0.2))
    assert (found.mean, found.sd, found.n) == (pytest.approx(0.14), pytest.approx(math.sqrt(0.023)), 5)
    half = 2.131847 * math.sqrt(0.023 / 5)  # t(.95, 4)
    assert found.own().low == pytest.approx(0.14 - half, abs=1e-6)
    # of the sums of +-.1 +-.2 +-.1 +-.3 +-.2, .7 is reached twice and .9 once; and their negatives
    assert found.sign_flip_p == 6 / 32


@pytest.mark.parametrize("level", [0.90, 0.95])
def test_the_interval_is_that_of_the_paired_t_test(level: float) -> None:
    theirs = stats.ttest_rel(ARM, BASE).confidence_interval(level)
    ours = contrast(ARM, BASE).own(level)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert (ours.level, ours.df) == (level, 4)


def test_rho_is_the_correlation_over_seeds_and_gives_the_saved_seeds() -> None:
    found = contrast(ARM, BASE)
    assert found.rho == pytest.approx(stats.pearsonr(ARM, BASE).statistic)
    assert found.seeds_saved == pytest.approx(1 / (1 - found.rho))


def test_pairing_saves_what_the_formula_says() -> None:
    rng = np.random.default_rng(1)
    seed = rng.normal(size=50_000)
    arm, base = (seed + 0.5 * rng.normal(size=50_000) for _ in range(2))  # rho = 1 / 1.25
    d = arm - base
    assert np.var(arm) + np.var(base) == pytest.approx(np.var(d) * 5, rel=0.03)


def test_an_arm_that_follows_the_baseline_exactly_saves_every_seed() -> None:
    assert contrast([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]).seeds_saved > 1e12


def test_without_spread_or_with_two_seeds_there_is_no_rho() -> None:
    assert math.isnan(contrast([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).rho)
    assert math.isnan(contrast([1.0, 2.0], [1.0, 3.0]).rho)


def test_one_seed_has_a_difference_but_no_interval() -> None:
    found = contrast([1.5], [1.0])
    assert (found.mean, found.n) == (0.5, 1)
    assert math.isnan(found.interval().low)


def test_no_seed_has_nothing() -> None:
    found = contrast([], [])
    assert found.n == 0
    assert math.isnan(found.mean)


def test_a_diverged_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="diverged"):
        contrast([1.0, math.nan, 2.0], [1.0, 1.0, 2.0])


def test_unequal_numbers_of_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="share their seeds, got 3 and 2"):
        contrast([1, 2, 3], [1, 2])


def test_without_a_prior_a_verdict_is_read_from_the_arms_own_spread() -> None:
    assert contrast(ARM, BASE).interval(0.95) == contrast(ARM, BASE).own(0.95)


def test_a_prior_moves_the_spread_and_adds_its_degrees_of_freedom() -> None:
    found = contrast(ARM, BASE, Prior(variance=0.05, df=6.0))
    moderated = math.sqrt((6 * 0.05 + 4 * 0.023) / 10)
    assert found.interval() == around(found.mean, found.moderated_sd, 5, 10.0, 0.90)
    assert found.moderated_sd == pytest.approx(moderated)
    assert found.own() == contrast(ARM, BASE).own()
    assert found.sd == contrast(ARM, BASE).sd


def test_one_seed_has_no_interval_with_any_prior() -> None:
    assert math.isnan(contrast([1.5], [1.0], Prior(0.05, 6.0)).interval().low)


def test_the_interval_to_a_bank_is_that_of_welch() -> None:
    bank = np.random.default_rng(3).normal(3.2, 0.2, 24)
    found = bank_contrast(ARM, bank)
    theirs = stats.ttest_ind(ARM, bank, equal_var=False)
    ends = theirs.confidence_interval(0.90)
    assert (found.interval().low, found.interval().high) == pytest.approx((ends.low, ends.high))
    assert (found.n, found.df) == (5, pytest.approx(theirs.df))
    assert found.differences == pytest.approx(ARM - bank.mean())
    assert math.isnan(found.rho)
