"""Intervals against values computed by hand from the printed t table, and their coverage by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.interval import Interval, Shared, around, errors, half_width, mean_t, paired_t, welch_df

T_975 = {1: 12.7062, 2: 4.30265, 4: 2.77645}  # two-sided 95 % points of Student's t


def test_three_values_give_the_interval_of_the_t_table() -> None:
    interval = mean_t([1.0, 2.0, 3.0])
    half = T_975[2] * 1.0 / math.sqrt(3)
    assert (interval.mean, interval.sd, interval.n) == (2.0, 1.0, 3)
    assert interval.low == pytest.approx(2 - half, abs=1e-5)
    assert interval.high == pytest.approx(2 + half, abs=1e-5)


def test_two_values_use_one_degree_of_freedom() -> None:
    interval = mean_t([0.0, 2.0])  # sd = sqrt(2), so the half-width is t(1) itself
    assert interval.high - interval.mean == pytest.approx(T_975[1], abs=1e-4)


def test_a_lower_level_gives_the_narrower_interval() -> None:
    # t(.95, 2) / sqrt(3) = 2.919986 / 1.732051 = 1.685854 standard deviations
    assert mean_t([1.0, 2.0, 3.0], level=0.90).high - 2 == pytest.approx(1.685854, abs=1e-6)


def test_paired_differences_are_the_mean_of_the_differences() -> None:
    arm, reference = np.array([3.1, 3.3, 3.2, 3.6, 3.4]), np.array([3.0, 3.1, 3.3, 3.3, 3.2])
    interval = paired_t(arm - reference)  # differences .1 .2 -.1 .3 .2: mean .14, sd sqrt(.092 / 4)
    half = T_975[4] * math.sqrt(0.092 / 4) / math.sqrt(5)
    assert interval.mean == pytest.approx(0.14)
    assert interval.low == pytest.approx(0.14 - half, abs=1e-5)


def test_turning_the_differences_around_turns_the_interval_around() -> None:
    interval, turned = paired_t([0.1, 0.4, 0.2]), paired_t([-0.1, -0.4, -0.2])
    assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low))


def test_one_value_has_a_mean_but_no_interval() -> None:
    interval = paired_t([0.25])
    assert (interval.mean, interval.n) == (0.25, 1)
    assert all(map(math.isnan, (interval.low, interval.high, interval.sd)))
    assert not interval.excludes_zero


def test_no_value_has_no_mean_either() -> None:
    assert math.isnan(mean_t([]).mean)
    assert mean_t([]).n == 0


@pytest.mark.parametrize(
    ("low", "high", "excludes"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.2, False)]
)
def test_an_interval_excludes_zero_only_when_both_ends_lie_on_one_side(low: float, high: float, excludes: bool) -> None:
    assert Interval((low + high) / 2, low, high, 3, 0.1).excludes_zero is excludes


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_t([1.0, value])


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_the_unit_interval_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\)"):
        mean_t([1.0, 2.0], level=level)


@pytest.mark.parametrize(("n", "level"), [(3, 0.95), (5, 0.95), (3, 0.90)])
def test_the_interval_covers_the_truth_as_often_as_it_says(n: int, level: float) -> None:
    rng = np.random.default_rng(2024)
    studies = rng.normal(0.3, 0.1, size=(1500, n))
    covered = [interval.low <= 0.3 <= interval.high for interval in (paired_t(study, level) for study in studies)]
    assert np.mean(covered) == pytest.approx(level, abs=0.02)  # about 3.5 standard errors at 95 %


def test_what_replicates_share_widens_the_interval_by_satterthwaites_rule() -> None:
    # v = 4 / 4 = 1 from 3 degrees of freedom, w = 0.5 from 5: (1.5)^2 / (1 / 3 + 0.25 / 5) = 5.8696
    shared = around(1.0, 2.0, 4, 3, 0.90, Shared(0.5, 5))
    assert shared.se == pytest.approx(math.sqrt(1.5))
    assert shared.df == pytest.approx(2.25 / (1 / 3 + 0.05))
    assert shared.high - 1 == pytest.approx(stats.t.ppf(0.95, shared.df) * math.sqrt(1.5))


def test_nothing_shared_leaves_an_interval_as_it_is() -> None:
    assert around(1.0, 2.0, 4, 3, 0.90, Shared()) == around(1.0, 2.0, 4, 3, 0.90)
    se_K, df_K = errors([1.0, 4.0], 3, 0.0, math.inf)
    assert (se_K.tolist(), df_K.tolist()) == ([[1.0, 2.0]], [[3.0, 3.0]])


@pytest.mark.parametrize("share", [0.01, 0.05, 0.15, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(("n", "df"), [(3, 2), (3, 4.6), (5, 4), (8, 7)])
def test_noise_never_makes_an_interval_narrower(n: int, df: float, share: float) -> None:
    variance = 1.0 / n * share / (1 - share)
    alone, noisy = around(0.0, 1.0, n, df, 0.90), around(0.0, 1.0, n, df, 0.90, Shared(variance, 15))
    assert noisy.high >= alone.high
    assert noisy.high == pytest.approx(float(half_width(1.0 / n, df, Shared(variance, 15), 0.90)))
    assert noisy.high == pytest.approx(stats.t.ppf(0.95, noisy.df) * noisy.se)


def test_with_three_replicates_satterthwaites_interval_alone_would_be_narrower_with_noise() -> None:
    variance, shared = 1.0 / 3, 0.05 / 3
    df = float(welch_df(variance, 2, shared, 15))
    assert stats.t.ppf(0.95, df) * math.sqrt(variance + shared) < stats.t.ppf(0.95, 2) * math.sqrt(variance)


def test_replicates_without_spread_leave_what_they_share() -> None:
    only = around(0.0, 0.0, 5, 4, 0.90, Shared(0.04, 7))
    assert only.df == pytest.approx(7)
    assert only.high == pytest.approx(stats.t.ppf(0.95, 7) * 0.2)
    assert around(0.0, math.nan, 1, 0, 0.90, Shared(0.04, 7)).excludes_zero is False
