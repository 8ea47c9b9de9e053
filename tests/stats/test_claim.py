"""Claims: exactly the claim is tested, symmetrically; p-values agree with intervals and are corrected for arms."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from bertlab.stats.claim import (
    BOUND,
    WORSE_SIDE,
    Expectation,
    Finding,
    claim_p,
    decides,
    findings,
    stands_beyond,
    study_finding,
    study_p,
)
from bertlab.stats.interval import mean_t

S, R, U = Finding.SUPPORTED, Finding.REFUTED, Finding.UNDECIDED
E = Expectation
INTERVALS = {  # margin 1
    "beyond the margin, worse": (1.2, 1.8),
    "worse": (0.2, 1.6),
    "worse, within the margin": (0.2, 0.8),
    "within the margin, holding zero": (-0.4, 0.6),
    "short of the margin on the worse side alone": (-1.5, 0.5),
    "short of the margin on the better side alone": (-0.5, 1.5),
    "short of it on neither": (-1.5, 1.5),
    "better, within the margin": (-0.8, -0.2),
    "better": (-1.6, -0.2),
    "beyond the margin, better": (-1.8, -1.2),
}
TABLE = {
    E.WORSE: [S, S, S, U, U, U, U, R, R, R],
    E.BETTER: [R, R, R, U, U, U, U, S, S, S],
    E.MATERIALLY_WORSE: [S, U, R, R, R, U, U, R, R, R],
    E.MATERIALLY_BETTER: [R, R, R, R, U, R, U, R, U, S],
    E.EQUIVALENT: [R, U, S, S, U, U, U, S, U, R],
    E.NOT_WORSE: [R, U, S, S, S, U, U, S, S, S],
    E.NOT_BETTER: [S, S, S, S, U, S, U, S, U, R],
}
MIRROR = {
    E.WORSE: E.BETTER,
    E.MATERIALLY_WORSE: E.MATERIALLY_BETTER,
    E.EQUIVALENT: E.EQUIVALENT,
    E.NOT_WORSE: E.NOT_BETTER,
}


def one(expectation: Expectation, low: float, high: float) -> Finding:
    """Return the result of a claim about one arm, given its 90 % interval over five seeds."""
    se = (high - low) / 2 / float(stats.t.ppf(0.95, 4))
    support, refutation = claim_p(expectation, (low + high) / 2, se, 4, 1.0)
    return findings([float(support)], [float(refutation)])[0]


@pytest.mark.parametrize("expectation", Expectation)
def test_what_an_interval_says_of_a_claim(expectation: Expectation) -> None:
    assert [one(expectation, *ends) for ends in INTERVALS.values()] == TABLE[expectation]


@pytest.mark.parametrize("expectation", MIRROR)
def test_exchanging_worse_and_better_exchanges_supports_and_refutes(expectation: Expectation) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        low = rng.uniform(-3, 2)
        high = low + rng.uniform(0.1, 3)
        assert one(expectation, low, high) is one(MIRROR[expectation], -high, -low)


@pytest.mark.parametrize("expectation", Expectation)
def test_an_interval_decides_exactly_where_it_does_not_leave_the_claim_undecided(expectation: Expectation) -> None:
    ends = np.linspace(-3, 3, 21) + 0.013
    pairs = np.array([(low, high) for low, high in itertools.product(ends, ends) if low < high])
    found = [one(expectation, low, high) for low, high in pairs.tolist()]
    assert {S, R, U} == set(found)
    told = decides(expectation)(pairs[:, 0], pairs[:, 1], 1.0)
    wrong = [each is not U for each in found] != told
    # refuting EQUIVALENT counts the farther margin too, so an end just beyond the nearer one may not be enough
    assert not wrong.any() if expectation is not E.EQUIVALENT else wrong.mean() < 0.02


def test_the_p_of_a_claim_is_that_of_the_one_sided_t_test() -> None:
    d = np.array([0.1, 0.3, -0.1, 0.4, 0.2])
    own, margin = mean_t(d, 0.9), 0.15
    for expectation, bound in BOUND.items():
        sides: Sequence[str] = ("greater", "less") if expectation in WORSE_SIDE else ("less", "greater")
        theirs = [stats.ttest_1samp(d, bound * margin, alternative=side)[1] for side in sides]
        assert np.array(claim_p(expectation, own.mean, own.se, 4, margin)) == pytest.approx(theirs)
    assert claim_p(E.EQUIVALENT, own.mean, own.se, 4, margin)[0] == pytest.approx(
        ttost_paired(d, 0 * d, -0.15, 0.15)[0]
    )


def test_refuting_equality_counts_both_margins() -> None:
    """Its p is one-sided if the margin is far from zero, two-sided if it is zero."""
    _, far = claim_p(E.EQUIVALENT, 3.0, 0.2, 4, 2.0)
    assert far == pytest.approx(stats.t.sf(1 / 0.2, 4), rel=0.01)
    _, none = claim_p(E.EQUIVALENT, 0.5, 0.2, 4, 1e-9)
    assert none == pytest.approx(2 * stats.t.sf(0.5 / 0.2, 4))


def test_differences_without_spread_are_certain() -> None:
    assert [float(p) for p in claim_p(E.WORSE, 0.2, 0.0, 4, 1.0)] == [0.0, 1.0]
    assert [float(p) for p in claim_p(E.NOT_WORSE, 0.2, 0.0, 4, 1.0)] == [0.0, 1.0]


def test_supports_keep_the_full_level_and_refutations_share_it_over_the_arms() -> None:
    assert findings([0.04, 0.049, 0.001], [0.96, 0.95, 0.99]) == [S, S, S]
    assert findings([0.96, 0.95, 0.99], [0.04, 0.05, 0.01]) == [U, U, R]
    assert findings([0.99], [0.04]) == [R]
    assert findings([0.99] * 3, [0.01, 0.02, 0.04]) == [R, R, R]  # once one is rejected, the next has more left


@pytest.mark.parametrize(
    ("found", "expected"), [([S, S], S), ([S, R, U], R), ([S, U], U), ([U], U), ([R], R), ([S], S)]
)
def test_one_refutation_refutes_a_study_and_only_all_support_it(found: list[Finding], expected: Finding) -> None:
    assert study_finding(found) is expected


def test_a_study_without_a_primary_contrast_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one primary"):
        study_finding([])


def test_a_study_is_as_sure_as_its_least_sure_support_or_its_surest_refutation_doubled() -> None:
    assert study_p([0.01, 0.02], [0.9, 0.8], S) == pytest.approx(0.04)
    assert study_p([0.99, 0.02], [0.005, 0.8], R) == pytest.approx(0.02)  # .005 * 2 arms, doubled
    assert study_p([0.3, 0.2], [0.9, 0.8], U) == pytest.approx(0.6)
    assert study_p([0.9, 0.2], [0.9, 0.8], U) == 1.0


@pytest.mark.parametrize(
    ("expectation", "found", "ends", "stands"),
    [
        (E.WORSE, S, (0.6, 0.9), True),
        (E.WORSE, S, (0.4, 0.9), False),  # within what the baseline differs from itself
        (E.WORSE, R, (-0.9, -0.3), True),
        (E.WORSE, R, (-0.9, -0.1), False),
        (E.MATERIALLY_WORSE, R, (0.1, 0.3), False),  # to end short of the margin is to be no worse
        (E.NOT_WORSE, S, (-0.1, 0.1), False),
        (E.NOT_WORSE, S, (-0.9, -0.5), True),  # better by a difference that counts
        (E.NOT_WORSE, R, (1.1, 1.9), True),
        (E.NOT_BETTER, S, (-0.1, 0.1), False),
        (E.NOT_BETTER, S, (0.6, 0.9), True),
        (E.EQUIVALENT, S, (-0.1, 0.1), False),
        (E.EQUIVALENT, S, (0.6, 0.9), False),
        (E.EQUIVALENT, R, (1.1, 1.9), True),
    ],
)
def test_if_the_baseline_may_differ_from_itself_only_a_larger_difference_counts(
    expectation: Expectation, found: Finding, ends: tuple[float, float], stands: bool
) -> None:
    assert stands_beyond(expectation, found, ends, (-0.2, 0.5)) is stands
    if expectation in MIRROR:
        turned = (-ends[1], -ends[0])
        assert stands_beyond(MIRROR[expectation], found, turned, (-0.5, 0.2)) is stands


def test_without_a_measured_control_nothing_counts() -> None:
    assert not stands_beyond(E.WORSE, S, (5.0, 6.0), (math.nan, math.nan))


def test_the_words_of_a_study_file_name_the_expectations() -> None:
    words = ["worse", "better", "materially_worse", "materially_better", "equivalent", "not_worse", "not_better"]
    assert [each.value for each in Expectation] == words
