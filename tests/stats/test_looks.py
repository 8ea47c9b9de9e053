"""Levels per look: the table is recomputed, and verdicts over looks keep their error rates."""

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.looks import interval_level, look_alpha, overall_p
from tests.marks import slow_but

ONE_SIDED = {  # level of each look that leaves .05 over all, of one-sided t tests
    (3, 10): 0.0268,
    (5, 8): 0.0307,
    (5, 10): 0.0290,
    (3, 6, 10): 0.0207,
    (4, 7, 10): 0.0222,
    (5, 8, 12, 16, 24): 0.0154,
    (3, 4, 5, 6, 7, 8, 9, 10): 0.0133,
}
TWO_SIDED = {(3, 10): 0.0257, (5, 10): 0.0279, (3, 6, 10): 0.0192, (4, 7, 10): 0.0210}


def smallest(looks: tuple[int, ...], studies: int, sides: int) -> np.ndarray:
    """Simulate again, one look at a time and by other means: the smallest p of each study without an effect."""
    d = np.random.default_rng(11).normal(size=(studies, looks[-1]))
    t = np.array([stats.ttest_1samp(d[:, :n], 0, axis=1).statistic for n in looks])
    tail = np.array([stats.t.sf(np.abs(t[k]) if sides == 2 else t[k], n - 1) for k, n in enumerate(looks)])
    return sides * tail.min(axis=0)


@pytest.mark.parametrize("looks", slow_but([(3, 10), (3, 6, 10)], ONE_SIDED))
def test_the_level_of_each_look_is_what_another_simulation_gives(looks: tuple[int, ...]) -> None:
    assert look_alpha(looks) == pytest.approx(ONE_SIDED[looks], rel=0.02)
    assert np.quantile(smallest(looks, 60_000, 1), 0.05) == pytest.approx(look_alpha(looks), rel=0.06)


@pytest.mark.parametrize("looks", list(TWO_SIDED))
def test_one_sided_tests_are_given_more_than_two_sided_ones_would_be(looks: tuple[int, ...]) -> None:
    assert np.quantile(smallest(looks, 60_000, 2), 0.05) == pytest.approx(TWO_SIDED[looks], rel=0.06)
    assert look_alpha(looks) > TWO_SIDED[looks]


@pytest.mark.parametrize("looks", list(ONE_SIDED))
def test_a_p_is_enough_at_a_look_exactly_where_it_is_over_all_looks(looks: tuple[int, ...]) -> None:
    alpha = look_alpha(looks)
    assert overall_p(alpha, looks) <= 0.05 < overall_p(np.nextafter(alpha, 1), looks)


def test_looking_after_every_seed_at_5_per_cent_gives_15_per_cent_false_positives_of_one_side() -> None:
    assert overall_p(0.05, (3, 4, 5, 6, 7, 8, 9, 10)) == pytest.approx(0.146, abs=0.003)


def test_one_look_costs_nothing() -> None:
    assert look_alpha([5]) == 0.05
    assert interval_level([5]) == 0.90
    assert overall_p(0.03, [5]) == 0.03


def test_more_looks_leave_less_for_each() -> None:
    assert look_alpha([3, 4, 5, 6, 7, 8, 9, 10]) < look_alpha([3, 6, 10]) < look_alpha([3, 10]) < look_alpha([10])


def test_a_family_spends_less_at_each_look() -> None:
    assert look_alpha([3, 10], overall=0.025) < look_alpha([3, 10]) / 1.8
    assert overall_p(look_alpha([3, 10], overall=0.025), [3, 10]) == pytest.approx(0.025, abs=1e-4)


@pytest.mark.parametrize("looks", [(3, 10), (3, 6, 10)])
def test_a_one_sided_test_at_the_level_of_each_look_errs_in_5_per_cent_at_most(looks: tuple[int, ...]) -> None:
    d = np.random.default_rng(5).normal(size=(40_000, looks[-1]))
    ever = [
        d[:, :n].mean(1) / (d[:, :n].std(1, ddof=1) / np.sqrt(n)) > stats.t.isf(look_alpha(looks), n - 1) for n in looks
    ]
    assert 0.047 < np.any(ever, axis=0).mean() < 0.053


@pytest.mark.parametrize("looks", [[], [10, 5], [5, 5], [1, 3]])
def test_looks_that_do_not_ascend_are_refused(looks: list[int]) -> None:
    with pytest.raises(ValueError, match="ascending numbers of seeds"):
        look_alpha(looks)


def test_a_level_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="overall level"):
        look_alpha([3, 10], overall=5)
