"""Paired contrasts against hand values, scipy, and the two-way analysis of variance of statsmodels."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols

from bertlab.stats.contrast import contrast, contrasts, pool

ARM, BASE = np.array([3.1, 3.3, 3.2, 3.6, 3.4]), np.array([3.0, 3.1, 3.3, 3.3, 3.2])


def test_a_contrast_by_hand() -> None:
    found = contrast(ARM, BASE)  # differences .1 .2 -.1 .3 .2: sum of squares about the mean .092
    assert found.differences == pytest.approx((0.1, 0.2, -0.1, 0.3, 0.2))
    assert (found.mean, found.sd, found.n) == (pytest.approx(0.14), pytest.approx(math.sqrt(0.023)), 5)
    half = 2.131847 * math.sqrt(0.023 / 5)  # t(.95, 4)
    assert found.unpooled().low == pytest.approx(0.14 - half, abs=1e-6)
    # of the sums of +-.1 +-.2 +-.1 +-.3 +-.2, .7 is reached twice and .9 once; and their negatives
    assert found.sign_flip_p == 6 / 32


@pytest.mark.parametrize("level", [0.90, 0.95])
def test_the_interval_is_that_of_the_paired_t_test(level: float) -> None:
    theirs = stats.ttest_rel(ARM, BASE).confidence_interval(level)
    ours = contrast(ARM, BASE).unpooled(level)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert (ours.level, ours.df) == (level, 4)


def test_rho_is_the_correlation_over_seeds_and_tells_the_seeds_saved() -> None:
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
    assert math.isnan(found.decision().low)


def test_no_seed_has_nothing() -> None:
    found = contrast([], [])
    assert found.n == 0
    assert math.isnan(found.mean)


def test_a_diverged_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="diverged"):
        contrast([1.0, math.nan, 2.0], [1.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="diverged"):
        pool([[1.0, math.inf], [1.0, 1.0]])


def test_unequal_numbers_of_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="share their seeds, got 3 and 2"):
        contrast([1, 2, 3], [1, 2])


def test_the_pool_is_the_residual_of_the_two_way_layout() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=(4, 5)) + rng.normal(size=5)
    cells = [{"arm": a, "seed": s, "y": y[a, s]} for a in range(4) for s in range(5)]
    theirs = ols("y ~ C(arm) + C(seed)", pd.DataFrame(cells)).fit()
    ours = pool(y)
    assert (ours.df, ours.arms) == (int(theirs.df_resid), 4) == (12, 4)
    assert ours.sd == pytest.approx(math.sqrt(2 * theirs.mse_resid))


def test_two_arms_share_nothing_more_than_their_own_differences() -> None:
    own = contrast(ARM, BASE)
    shared = pool([BASE, ARM])
    assert (shared.sd, shared.df) == (pytest.approx(own.sd), own.n - 1)


def test_six_arms_at_three_seeds_narrow_the_interval_from_1_69_to_1_05_standard_deviations() -> None:
    rng = np.random.default_rng(5)
    study = {f"arm{a}": rng.normal(size=3) for a in range(6)}
    found = contrasts(study, "arm0")["arm3"]
    pooled = found.pooled()
    assert pooled is not None
    assert found.pool is not None
    assert (found.unpooled().high - found.mean) / found.sd == pytest.approx(1.69, abs=0.005)
    assert (pooled.high - found.mean) / found.pool.sd == pytest.approx(1.05, abs=0.005)


@pytest.mark.parametrize(("scale", "alike"), [(2.9, True), (3.1, False)])
def test_spreads_that_differ_more_than_threefold_are_not_pooled(scale: float, alike: bool) -> None:
    base, d = np.array([0.2, 0.1, 0.4, 0.3]), np.array([0.1, -0.1, 0.2, -0.2])
    found = contrasts({"base": base, "a": base + d, "b": base + scale * d}, "base")["a"]
    assert found.pool is not None
    assert found.pool.ratio == pytest.approx(scale)
    assert found.decision() == (found.pooled() if alike else found.unpooled())
    assert found.pooled() != found.unpooled()


def test_an_arm_without_any_spread_is_like_no_other() -> None:
    base = np.array([0.2, 0.1, 0.4])
    study = contrasts({"base": base, "same": base, "other": base + np.array([0.1, 0.3, -0.1])}, "base")
    assert study["same"].decision() == study["same"].unpooled()
    assert study["same"].decision().high == 0


def test_arms_that_all_repeat_the_baseline_are_alike() -> None:
    assert pool([[1.0, 2.0, 3.0]] * 3).ratio == 1


def test_one_arm_and_a_single_seed_share_no_pool() -> None:
    assert contrasts({"base": BASE, "arm": ARM}, "base")["arm"].pool is None
    assert contrasts({"base": [1.0], "a": [1.0], "b": [2.0]}, "base")["a"].pool is None


def test_a_baseline_that_is_no_arm_is_refused() -> None:
    with pytest.raises(ValueError, match="one of a, b, got c"):
        contrasts({"a": [1.0], "b": [1.0]}, "c")


@pytest.mark.parametrize("table", [[1.0, 2.0], [[1.0, 2.0]], [[1.0], [2.0]]])
def test_a_pool_needs_two_arms_and_two_seeds(table: list[object]) -> None:
    with pytest.raises(ValueError, match="two arms by two seeds"):
        pool(np.array(table))


def missed(scales: list[float], n: int, studies: int = 700) -> tuple[float, float]:
    """Return how often the 90 % interval of arm 1 misses a true difference of zero: chosen by the data, and its own."""
    rng = np.random.default_rng(0)
    misses = []
    for _ in range(studies):
        y = rng.normal(size=(len(scales), n)) * np.array(scales)[:, None]
        found = contrast(y[1], y[0], pool(y))
        misses.append((found.decision().excludes_zero, found.unpooled().excludes_zero))
    chosen, own = np.mean(misses, axis=0)
    return float(chosen), float(own)


def test_choosing_the_pool_by_the_data_costs_little_among_like_arms_and_more_for_an_odd_one() -> None:
    chosen, own = missed([1, 1, 1, 1, 1, 1], n=5)
    assert own == pytest.approx(0.10, abs=0.03)
    assert own - 0.02 < chosen < 0.145
    odd, own = missed([1, 2.5, 1, 1, 1, 1], n=5)
    assert own == pytest.approx(0.10, abs=0.03)
    assert odd > 0.14
