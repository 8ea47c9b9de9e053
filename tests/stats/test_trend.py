"""Parabolas with a known vertex, and intervals that show if there is none."""

import math

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.trend import trend

RATES = np.array([0.05, 0.1, 0.15, 0.25, 0.4])


def seeds(best: float, curve: float, noise: float, n: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ideal = 3 + curve * (np.log(RATES) - math.log(best)) ** 2
    return ideal + rng.normal(0, 0.3, (n, 1)) + rng.normal(0, noise, (n, RATES.size))


def test_an_exact_parabola_gives_its_vertex_slope_and_curvature() -> None:
    found = trend(RATES, seeds(best=0.2, curve=0.5, noise=0))
    assert (found.best.value, found.best.low, found.best.high) == pytest.approx((0.2, 0.2, 0.2))
    assert found.curvature.mean == pytest.approx(1.0)
    assert found.slope.mean == pytest.approx(np.log(RATES).mean() - math.log(0.2))  # 2 c (x - vertex) at the middle
    assert found.best.shown
    assert found.best.inside


def test_the_level_of_a_seed_is_no_trend() -> None:
    found = trend(RATES, seeds(0.15, 0.5, 0.02) + np.arange(5)[:, None])
    assert found.best.value == pytest.approx(trend(RATES, seeds(0.15, 0.5, 0.02)).best.value)


def test_slope_and_curvature_are_tested_over_seeds() -> None:
    outcome = seeds(0.15, 0.1, 0.1)
    b, c = np.array([np.polyfit(np.log(RATES) - np.log(RATES).mean(), y, 2)[[1, 0]] for y in outcome]).T
    found = trend(RATES, outcome)
    assert found.slope_p == pytest.approx(stats.ttest_1samp(b, 0).pvalue)
    assert found.curvature_p == pytest.approx(stats.ttest_1samp(c, 0).pvalue)
    assert (found.curvature.n, found.curvature.df) == (5, 4)


def test_at_the_ends_of_the_interval_the_derivative_just_leaves_zero() -> None:
    outcome = seeds(0.15, 0.5, 0.1)
    b, c = np.array([np.polyfit(np.log(RATES), y, 2)[[1, 0]] for y in outcome]).T
    best = trend(RATES, outcome).best
    for end in (best.low, best.high):
        assert stats.ttest_1samp(b + 2 * c * math.log(end), 0).pvalue == pytest.approx(0.10)
    assert best.low < best.value < best.high


def test_the_interval_covers_the_best_value_as_often_as_it_says() -> None:
    covered = []
    for seed in range(500):
        best = trend(RATES, seeds(0.15, 0.5, 0.1, seed=seed)).best
        covered.append(best.low <= 0.15 <= best.high)
    assert np.mean(covered) == pytest.approx(0.90, abs=0.04)


def test_a_straight_line_has_no_best_value() -> None:
    outcome = np.log(RATES) + np.random.default_rng(3).normal(0, 0.3, (4, 5))
    best = trend(RATES, outcome).best
    assert not best.shown
    assert math.isnan(best.value)
    assert (best.low, best.high) == (0.0, math.inf)


def test_a_hill_is_no_minimum_unless_higher_is_better() -> None:
    hill = -seeds(0.15, 0.5, 0.05)
    assert not trend(RATES, hill).best.shown
    turned = trend(RATES, hill, lower_is_better=False)
    assert turned.best == trend(RATES, -hill).best
    assert turned.best.shown
    assert turned.curvature.mean < 0  # of the outcome itself


def test_a_vertex_beyond_the_levels_is_called_an_extrapolation() -> None:
    best = trend(RATES, seeds(best=0.8, curve=0.5, noise=0.02)).best
    assert best.shown
    assert best.value == pytest.approx(0.8, rel=0.2)
    assert not best.inside


def test_the_unit_of_the_factor_moves_only_the_best_value() -> None:
    outcome = seeds(0.15, 0.5, 0.1)
    rate, percent = trend(RATES, outcome), trend(100 * RATES, outcome)
    assert percent.curvature_p == pytest.approx(rate.curvature_p)
    assert percent.best.high == pytest.approx(100 * rate.best.high)


@pytest.mark.parametrize(
    ("factor", "outcome", "message"),
    [
        ([0.1, 0.2, 0.2], np.ones((3, 3)), "three distinct positive"),
        ([0.0, 0.1, 0.2], np.ones((3, 3)), "three distinct positive"),
        ([0.1, 0.2, 0.3], np.ones((1, 3)), "two seeds or more"),
        ([0.1, 0.2, 0.3], np.ones((3, 2)), "one per level"),
        ([0.1, 0.2, 0.3], np.full((3, 3), np.nan), "finite"),
    ],
)
def test_what_has_no_parabola_is_refused(factor: list[float], outcome: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trend(factor, outcome)


def test_on_a_linear_scale_the_factor_itself_is_the_axis_and_may_be_zero() -> None:
    doses = np.array([0.0, 1.0, 2.0, 4.0])
    outcome = 3 + 0.5 * (doses - 1.5) ** 2 + np.arange(4)[:, None]
    found = trend(doses, outcome, scale="linear")
    assert (found.best.value, found.curvature.mean) == pytest.approx((1.5, 1.0))
    assert found.slope.mean == pytest.approx(doses.mean() - 1.5)
    assert found.best.inside
    flat = trend(doses, np.random.default_rng(0).normal(0, 1, (4, 4)), scale="linear").best
    assert (flat.shown, flat.low, flat.high) == (False, -math.inf, math.inf)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale must be one of linear, log"):
        trend(RATES, seeds(0.2, 0.5, 0.1), scale="cubic")
