"""Levels per look: the table is recomputed, and verdicts over looks keep their errors."""

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.looks import REGISTERED, interval_level, look_alpha, overall_p, simulated_alpha


@pytest.mark.parametrize("looks", list(REGISTERED))
def test_the_registered_levels_are_what_simulation_gives(looks: tuple[int, ...]) -> None:
    assert simulated_alpha(looks) == pytest.approx(REGISTERED[looks], rel=0.03)


@pytest.mark.parametrize("looks", list(REGISTERED))
def test_the_registered_levels_restore_5_per_cent(looks: tuple[int, ...]) -> None:
    assert overall_p(REGISTERED[looks], looks) == pytest.approx(0.05, abs=0.0012)


def test_looking_after_every_seed_at_5_per_cent_gives_17_per_cent_false_positives() -> None:
    assert overall_p(0.05, (3, 4, 5, 6, 7, 8, 9, 10)) == pytest.approx(0.169, abs=0.005)


def test_one_look_costs_nothing() -> None:
    assert look_alpha([5]) == 0.05
    assert interval_level([5]) == 0.90
    assert overall_p(0.03, [5]) == 0.03


def test_a_schedule_that_is_not_in_the_table_is_simulated() -> None:
    assert (5, 8) not in REGISTERED
    alpha = look_alpha([5, 8])
    assert 0.0279 < alpha < 0.035  # its looks are closer together than those of (5, 10)
    assert look_alpha([5, 8]) == alpha
    assert interval_level([5, 8]) == 1 - 2 * alpha


def test_more_looks_leave_less_for_each() -> None:
    assert look_alpha([3, 4, 5, 6, 7, 8, 9, 10]) < look_alpha([3, 6, 10]) < look_alpha([3, 10]) < look_alpha([10])


def test_a_family_spends_less_at_each_look() -> None:
    assert look_alpha([3, 10], overall=0.025) < look_alpha([3, 10]) / 1.9
    assert overall_p(look_alpha([3, 10], overall=0.025), [3, 10]) == pytest.approx(0.025, abs=1e-4)


def test_another_seed_gives_nearly_the_same_level() -> None:
    first, second = (simulated_alpha([5, 10], studies=100_000, seed=seed) for seed in (1, 2))
    assert first != second
    assert first == pytest.approx(second, rel=0.05)


@pytest.mark.parametrize("looks", [(3, 10), (3, 6, 10)])
def test_a_one_sided_test_at_the_level_of_each_look_errs_in_5_per_cent_at_most(looks: tuple[int, ...]) -> None:
    d = np.random.default_rng(5).normal(size=(40_000, looks[-1]))
    ever = [
        d[:, :n].mean(1) / (d[:, :n].std(1, ddof=1) / np.sqrt(n)) > stats.t.isf(look_alpha(looks), n - 1) for n in looks
    ]
    assert 0.044 < np.any(ever, axis=0).mean() < 0.0505


@pytest.mark.parametrize("looks", [[], [10, 5], [5, 5], [1, 3]])
def test_looks_that_do_not_ascend_are_refused(looks: list[int]) -> None:
    with pytest.raises(ValueError, match="ascending numbers of seeds"):
        look_alpha(looks)


def test_a_level_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="overall level"):
        look_alpha([3, 10], overall=5)
