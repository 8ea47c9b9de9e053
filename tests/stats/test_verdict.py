"""Every verdict of the table, its order, and the effect of mirrored data."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import ttost_paired

from bertlab.stats.interval import Interval, mean_t
from bertlab.stats.power import seeds_needed
from bertlab.stats.rule import AT_THE_MARGIN, BY_INTERVAL, SETTLED, Kind, codes, kind, one_of
from bertlab.stats.verdict import SOUND, Standing, judge, turned, vacuity


def interval(low: float, high: float, n: int = 5) -> Interval:
    half = (high - low) / 2
    return Interval((low + high) / 2, low, high, n, half / 0.9533909, 0.90, n - 1)  # half-width at n = 5


TABLE = [  # margin 1
    (1.1, 2.0, Kind.WORSE_MATERIAL),
    (-2.0, -1.1, Kind.BETTER_MATERIAL),
    (-0.9, 0.9, Kind.EQUIVALENT),
    (0.2, 0.9, Kind.EQUIVALENT),
    (-0.9, -0.2, Kind.EQUIVALENT),
    (0.2, 1.5, Kind.WORSE_UNRESOLVED),
    (-1.5, -0.2, Kind.BETTER_UNRESOLVED),
    (-1.5, 0.9, Kind.NON_INFERIOR),
    (-0.9, 1.5, Kind.NON_SUPERIOR),
    (-1.5, 1.5, Kind.INCONCLUSIVE),
    (1.0, 2.0, Kind.WORSE_UNRESOLVED),  # touching the margin is not beyond it
    (-2.0, -1.0, Kind.BETTER_UNRESOLVED),
    (-1.0, 0.5, Kind.NON_INFERIOR),
    (-0.5, 1.0, Kind.NON_SUPERIOR),
    (0.0, 1.5, Kind.NON_SUPERIOR),  # touching zero does not exclude it
    (0.4, 1.3, Kind.WORSE_AT_MARGIN),
    (-1.3, -0.4, Kind.BETTER_AT_MARGIN),
    (0.25, 1.25, Kind.WORSE_UNRESOLVED),  # as wide as the margin is not narrower
]


@pytest.mark.parametrize(("low", "high", "expected"), TABLE)
def test_the_position_of_the_interval_decides_the_verdict(low: float, high: float, expected: Kind) -> None:
    assert judge(interval(low, high), 1.0).kind is expected


def test_the_table_of_examples_holds_every_verdict_of_an_interval() -> None:
    assert {expected for _, _, expected in TABLE} == set(BY_INTERVAL)


@pytest.mark.parametrize(
    ("standing", "n", "expected"),
    [
        (Standing(invalid=("rate_40, seed 3 is missing",)), 5, Kind.INVALID),
        (Standing(vacuous=("context gain below the floor",)), 5, Kind.VACUOUS),
        (Standing(diverged=2), 5, Kind.UNSTABLE),
        (Standing(diverged=3, diverged_baseline=1), 5, Kind.UNSTABLE),
        (Standing(diverged=2, diverged_baseline=1), 5, Kind.EQUIVALENT),
        (Standing(diverged=1), 5, Kind.EQUIVALENT),
        (SOUND, 2, Kind.UNTESTABLE),
        (SOUND, 3, Kind.EQUIVALENT),
    ],
)
def test_soundness_comes_before_differences(standing: Standing, n: int, expected: Kind) -> None:
    assert judge(interval(-0.5, 0.5, n), 1.0, standing).kind is expected


def test_the_first_reason_wins_and_is_kept() -> None:
    everything = Standing(invalid=("code differs",), vacuous=("a control failed",), diverged=4)
    for reason, expected in [("invalid", Kind.INVALID), ("vacuous", Kind.VACUOUS)]:
        verdict = judge(interval(1.5, 2.0, n=1), 1.0, everything)
        assert (verdict.kind, verdict.failed) == (expected, getattr(everything, reason))
        everything = replace(everything, **{reason: ()})
    unstable = judge(interval(1.5, 2.0, n=1), 1.0, everything)
    assert unstable.kind is Kind.UNSTABLE
    assert unstable.failed == ("4 seeds of the arm diverged and 0 of the baseline",)


def test_an_arm_that_lost_all_its_seeds_is_judged_without_an_interval() -> None:
    assert judge(mean_t([], 0.9), 1.0, Standing(diverged=5)).kind is Kind.UNSTABLE
    assert judge(mean_t([0.3], 0.9), 1.0).kind is Kind.UNTESTABLE


def test_a_verdict_carries_its_reasons() -> None:
    verdict = judge(interval(-0.5, 1.5), 1.0)
    assert (verdict.margin, verdict.level, verdict.interval.low) == (1.0, 0.90, -0.5)
    assert verdict.needed is not None
    assert verdict.needed > 5


def test_a_decision_needs_no_more_seeds() -> None:
    assert judge(interval(-0.5, 0.5), 1.0).needed is None


def test_an_effect_as_large_as_the_margin_is_settled_by_no_number_of_seeds() -> None:
    verdict = judge(interval(0.6, 1.4), 1.0)
    assert (verdict.kind, verdict.needed) == (Kind.WORSE_AT_MARGIN, None)
    both = judge(interval(-0.1, 2.1), 1.0, decides=one_of({Kind.WORSE_UNRESOLVED, *AT_THE_MARGIN, *SETTLED}))
    assert both.kind is Kind.NON_SUPERIOR
    assert both.needed is not None


def test_the_seeds_needed_are_more_than_there_are() -> None:
    likely_with_few = one_of({Kind.INCONCLUSIVE, Kind.NON_INFERIOR, Kind.NON_SUPERIOR})
    assert seeds_needed(0.6, 0.3, 0.2, decides=likely_with_few) == 3
    assert judge(Interval(0.3, 0.1, 0.5, 27, 0.6, 0.9, 26), 0.2, decides=likely_with_few).needed is None


@pytest.mark.parametrize(("low", "words"), [(0.1, "EQUIVALENT, detectable"), (-0.1, "EQUIVALENT")])
def test_an_equivalent_difference_may_still_be_detectable(low: float, words: str) -> None:
    assert judge(interval(low, 0.9), 1.0).words == words


def test_where_higher_is_better_the_data_are_turned_around() -> None:
    verdict = judge(interval(-0.4, -0.2), 0.1, lower_is_better=False)  # an accuracy that fell by .2 to .4
    assert verdict.kind is Kind.WORSE_MATERIAL
    assert (verdict.interval.low, verdict.interval.high, verdict.interval.mean) == pytest.approx((0.2, 0.4, 0.3))


MIRROR = {
    Kind.WORSE_MATERIAL: {Kind.BETTER_MATERIAL},
    Kind.BETTER_MATERIAL: {Kind.WORSE_MATERIAL},
    Kind.EQUIVALENT: {Kind.EQUIVALENT},
    Kind.WORSE_UNRESOLVED: {Kind.BETTER_UNRESOLVED},
    Kind.BETTER_UNRESOLVED: {Kind.WORSE_UNRESOLVED},
    Kind.WORSE_AT_MARGIN: {Kind.BETTER_AT_MARGIN},
    Kind.BETTER_AT_MARGIN: {Kind.WORSE_AT_MARGIN},
    Kind.NON_INFERIOR: {Kind.NON_SUPERIOR},
    Kind.NON_SUPERIOR: {Kind.NON_INFERIOR},
    Kind.INCONCLUSIVE: {Kind.INCONCLUSIVE},
}


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=10), st.floats(0.01, 3))
def test_flipping_the_sign_of_the_data_mirrors_the_verdict(differences: list[float], margin: float) -> None:
    there = judge(mean_t(differences, 0.9), margin, decides=one_of(Kind))
    back = judge(mean_t([-d for d in differences], 0.9), margin, decides=one_of(Kind))
    assert back.kind in MIRROR[there.kind]
    assert back.detectable == there.detectable


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=10), st.floats(0.01, 3), st.sampled_from([0.001, 1000.0]))
def test_the_unit_of_the_outcome_changes_no_verdict(differences: list[float], margin: float, unit: float) -> None:
    found = mean_t(differences, 0.9)
    apart = [abs(abs(end) - bound) for end in (found.low, found.high) for bound in (0, margin)]
    if min(*apart, abs(found.high - found.low - margin)) > 1e-9:
        assert kind(found.low, found.high, margin) is kind(found.low * unit, found.high * unit, margin * unit)


def test_every_interval_has_exactly_one_verdict() -> None:
    ends = np.linspace(-2, 2, 33)
    pairs = np.array([(low, high) for low, high in itertools.product(ends, ends) if low <= high])
    assert set(codes(pairs[:, 0], pairs[:, 1], 1.0).tolist()) == set(range(len(BY_INTERVAL)))


def test_equivalent_is_the_pair_of_one_sided_tests() -> None:
    rng = np.random.default_rng(11)
    found = set()
    for _ in range(60):
        d = rng.normal(rng.uniform(-1, 1), 0.5, 5)
        p = ttost_paired(d, np.zeros(5), -1, 1)[0]
        equivalent = judge(mean_t(d, 0.9), 1.0).kind is Kind.EQUIVALENT
        assert equivalent == (p < 0.05)
        found.add(equivalent)
    assert found == {True, False}


@pytest.mark.parametrize("margin", [0.0, -1.0, math.inf, math.nan])
def test_a_margin_that_is_not_positive_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="smallest effect of interest"):
        judge(interval(-0.5, 0.5), margin)


def test_an_interval_without_ends_is_refused_once_there_are_seeds_enough() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        judge(Interval(0.1, math.nan, math.nan, 5, math.nan, 0.9, 0), 1.0)


def test_turning_twice_changes_nothing() -> None:
    assert turned(turned(interval(-0.3, 0.8))) == interval(-0.3, 0.8)


def test_a_study_that_could_see_a_difference_has_no_reason_against_it() -> None:
    assert vacuity(0.5, 0.3, Kind.WORSE_UNRESOLVED, Kind.EQUIVALENT) == ()
    assert vacuity(0.5, 0.3, Kind.WORSE_MATERIAL, Kind.EQUIVALENT) == ()


@pytest.mark.parametrize("same", [Kind.INCONCLUSIVE, Kind.NON_SUPERIOR, Kind.WORSE_UNRESOLVED, Kind.BETTER_AT_MARGIN])
def test_a_baseline_that_is_not_shown_to_equal_itself_makes_a_study_coarse_and_not_vacuous(same: Kind) -> None:
    assert vacuity(0.5, 0.3, Kind.WORSE_MATERIAL, same) == ()


@pytest.mark.parametrize(
    ("gain", "harmful", "same", "reason"),
    [
        (0.3, Kind.WORSE_MATERIAL, Kind.EQUIVALENT, "context gain is 0.300 nats and must exceed 0.3"),
        (math.nan, Kind.WORSE_MATERIAL, Kind.EQUIVALENT, "context gain is not measured"),
        (0.5, Kind.INCONCLUSIVE, Kind.EQUIVALENT, "harmful control is INCONCLUSIVE and must be WORSE"),
        (0.5, Kind.WORSE_MATERIAL, Kind.BETTER_MATERIAL, "against itself is BETTER (material) and must not be"),
        (0.5, Kind.WORSE_MATERIAL, Kind.INVALID, "against itself is INVALID and must not be"),
    ],
)
def test_a_study_on_the_plateau_or_with_a_failed_control_is_vacuous(
    gain: float, harmful: Kind, same: Kind, reason: str
) -> None:
    (found,) = vacuity(gain, 0.3, harmful, same)
    assert reason in found
    assert judge(interval(-0.1, 0.1), 1.0, Standing(vacuous=(found,))).kind is Kind.VACUOUS
