from itertools import pairwise

import pytest

from bertlab.evaluation.curve import steps_to_evaluate

STEPS, BATCH, TEXT = 10_000, 1_024, 16_384


def steps(share: float, total: int = STEPS) -> list[int]:
    return steps_to_evaluate(total, BATCH, TEXT, share=share, last_passes=9.5)


@pytest.mark.parametrize(("share", "first"), [(0.01, 0.1), (0.02, 0.1), (0.05, 0.01), (0.1, 0.01)])
def test_a_curve_begins_earlier_where_there_are_points_for_it(share: float, first: float) -> None:
    found = steps(share)
    assert found[-1] == STEPS
    assert found[0] == pytest.approx(first * STEPS, rel=0.02)


def test_points_are_evenly_spaced_in_tokens_and_never_farther_apart_than_a_short_curve_has_them() -> None:
    found = steps(0.04)
    ratios = [later / earlier for earlier, later in pairwise(found)]
    assert ratios == pytest.approx([1.15] * len(ratios), rel=0.01)
    assert 0.01 * STEPS < found[0] < 0.1 * STEPS


def test_a_short_run_has_its_points_near_the_end_and_at_least_one() -> None:
    assert steps(0.001) == [STEPS]
    assert steps(0.05, total=30) == [30]
