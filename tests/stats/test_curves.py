"""Functionals of curves whose values are known in closed form."""

import math

import numpy as np
import pytest

from bertlab.stats.curves import area, final, half_budget_target, tokens_to_target

TOKENS = np.array([100.0, 200.0, 400.0, 800.0])


def test_the_final_loss_is_the_mean_of_the_last_evaluations() -> None:
    assert final([[9, 4, 2, 3], [9, 5, 5, 5]], last=3).tolist() == [3, 5]
    assert final([9, 4, 2, 3], last=1).tolist() == [3]


def test_the_area_is_the_mean_height_over_ln_tokens() -> None:
    assert area(TOKENS, [[4, 4, 4, 4], [4, 3, 2, 1]]) == pytest.approx([4, 2.5])
    assert area([1, 10, 1000], [4, 2, 2]) == pytest.approx([(3 * math.log(10) + 2 * math.log(100)) / math.log(1000)])


def test_a_constant_shift_of_the_curve_shifts_its_area_alike() -> None:
    curve = np.array([5.0, 3.2, 2.9, 2.5])
    assert area(TOKENS, curve + 0.3)[0] - area(TOKENS, curve)[0] == pytest.approx(0.3)


def test_the_target_is_the_baseline_median_at_half_of_the_budget() -> None:
    assert half_budget_target(TOKENS, [[5, 4, 3, 2], [5, 4, 3.5, 2], [5, 4, 9, 2]]) == 3.5
    # half of 900 tokens is 450, between 300 and 900
    share = math.log(450 / 300) / math.log(3)
    assert half_budget_target([100, 300, 900], [4, 3, 2]) == pytest.approx(3 - share)


def test_a_line_over_ln_tokens_meets_the_target_where_algebra_says() -> None:
    curve = 10 - np.log(TOKENS)
    reached = tokens_to_target(TOKENS, curve, 10 - math.log(300))
    assert reached.tokens == pytest.approx((300,))
    assert (reached.censored, reached.seen) == (0, 800)


def test_runs_that_never_arrive_are_counted_and_not_dropped() -> None:
    reached = tokens_to_target(TOKENS, [[5, 4, 3, 2], [5, 4.5, 4, 3.5], [2, 2, 2, 2], [5, 3, 9, 9]], 3)
    assert reached.tokens == pytest.approx((400, math.inf, 100, 200))
    assert reached.censored == 1


def test_a_run_that_diverges_arrives_only_if_it_did_before() -> None:
    nan = math.nan
    reached = tokens_to_target(TOKENS, [[5, nan, nan, nan], [5, 3, nan, nan], [nan, nan, 2, 2]], 3)
    assert reached.tokens == pytest.approx((math.inf, 200, math.inf))


def test_at_the_baselines_own_target_half_of_it_arrives_by_half_of_the_budget() -> None:
    rng = np.random.default_rng(0)
    tokens = np.geomspace(100, 1000, 30)
    curves = 9 - np.log(tokens) + rng.normal(0, 0.2, (11, 1))
    reached = tokens_to_target(tokens, curves, half_budget_target(tokens, curves))
    assert np.median(reached.tokens) == pytest.approx(500)


@pytest.mark.parametrize("measure", [area, half_budget_target])
def test_curves_that_are_not_finite_or_do_not_fit_are_refused(measure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="losses must be finite"):
        measure(TOKENS, [1, 2, 3, math.inf])
    with pytest.raises(ValueError, match="one per run and evaluation"):
        measure(TOKENS, [1, 2, 3])
    with pytest.raises(ValueError, match="positive and ascend"):
        measure([0, 1, 2, 3], [1, 2, 3, 4])


def test_more_evaluations_than_there_are_cannot_be_averaged() -> None:
    with pytest.raises(ValueError, match="between 1 and the 2 evaluations"):
        final([[1, 2]], last=3)


def test_a_target_needs_a_number_and_half_of_the_budget_an_evaluation_before_it() -> None:
    with pytest.raises(ValueError, match="target must be finite"):
        tokens_to_target(TOKENS, [1, 2, 3, 4], math.nan)
    with pytest.raises(ValueError, match="no evaluation lies before half"):
        half_budget_target([900, 1000], [4, 3])
