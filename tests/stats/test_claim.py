"""Claims: the whole table of expectation by verdict, and p-values that agree with the intervals."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from bertlab.stats.claim import Expectation, Finding, claim_p, decides, finding, study_finding
from bertlab.stats.contrast import contrasts
from bertlab.stats.interval import Interval, mean_t
from bertlab.stats.looks import interval_level, overall_p
from bertlab.stats.multiple import holm
from bertlab.stats.rule import Kind, kind
from bertlab.stats.verdict import judge

S, R, U = Finding.SUPPORTED, Finding.REFUTED, Finding.UNDECIDED
KINDS = [  # columns of the table
    Kind.WORSE_MATERIAL, Kind.WORSE_UNRESOLVED, Kind.EQUIVALENT, Kind.NON_INFERIOR,
    Kind.BETTER_UNRESOLVED, Kind.BETTER_MATERIAL, Kind.INCONCLUSIVE,
]  # fmt: skip
TABLE = {
    Expectation.WORSE: [S, S, R, R, R, R, U],
    Expectation.BETTER: [R, R, R, U, S, S, U],
    Expectation.EQUIVALENT: [R, U, S, U, U, R, U],
    Expectation.NOT_WORSE: [R, U, S, S, S, S, U],
    Expectation.NOT_BETTER: [S, S, S, U, U, R, U],
}


@pytest.mark.parametrize("expectation", Expectation)
def test_what_a_verdict_says_of_an_expectation(expectation: Expectation) -> None:
    assert [finding(expectation, each) for each in KINDS] == TABLE[expectation]


@pytest.mark.parametrize("each", [Kind.INVALID, Kind.VACUOUS, Kind.UNSTABLE, Kind.UNTESTABLE])
def test_what_cannot_be_judged_leaves_every_claim_undecided(each: Kind) -> None:
    assert {finding(expectation, each) for expectation in Expectation} == {U}


@pytest.mark.parametrize("expectation", Expectation)
def test_an_interval_decides_exactly_where_it_does_not_leave_the_claim_undecided(expectation: Expectation) -> None:
    ends = np.linspace(-3, 3, 25) + 0.01
    low, high = (each.ravel() for each in np.meshgrid(ends, ends))
    low, high = low[low <= high], high[low <= high]
    found = [finding(expectation, kind(a, b, 1.0), a, 1.0) for a, b in zip(low, high, strict=True)]
    assert {S, R, U} == set(found)
    assert decides(expectation)(low, high, 1.0).tolist() == [each is not U for each in found]


@pytest.mark.parametrize(
    ("findings", "expected"), [([S, S], S), ([S, R, U], R), ([S, U], U), ([U], U), ([R], R), ([S], S)]
)
def test_one_refutation_refutes_a_study_and_only_all_support_it(findings: list[Finding], expected: Finding) -> None:
    assert study_finding(findings) is expected


def test_a_study_without_a_primary_contrast_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one primary"):
        study_finding([])


def test_the_words_of_a_study_file_name_the_expectations() -> None:
    assert [each.value for each in Expectation] == ["worse", "better", "equivalent", "not_worse", "not_better"]


def test_the_p_of_a_claim_is_that_of_the_one_sided_t_test() -> None:
    d = np.array([0.1, 0.3, -0.1, 0.4, 0.2])
    interval = mean_t(d, 0.9)
    assert claim_p(Expectation.WORSE, interval, 0.5) == pytest.approx(stats.ttest_1samp(d, 0, alternative="greater")[1])
    assert claim_p(Expectation.BETTER, interval, 0.5) == pytest.approx(stats.ttest_1samp(d, 0, alternative="less")[1])
    assert claim_p(Expectation.NOT_WORSE, interval, 0.5) == pytest.approx(
        stats.ttest_1samp(d, 0.5, alternative="less")[1]
    )
    assert claim_p(Expectation.NOT_BETTER, interval, 0.5) == pytest.approx(
        stats.ttest_1samp(d, -0.5, alternative="greater")[1]
    )
    assert claim_p(Expectation.EQUIVALENT, interval, 0.5) == pytest.approx(ttost_paired(d, 0 * d, -0.5, 0.5)[0])


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.0139])
def test_a_supported_claim_always_has_a_p_below_the_level_of_its_interval(alpha: float) -> None:
    rng, supported = np.random.default_rng(8), 0
    for _ in range(400):
        interval = mean_t(rng.normal(rng.uniform(-2, 2), 0.6, 5), 1 - 2 * alpha)
        for expectation in Expectation:
            if finding(expectation, kind(interval.low, interval.high, 1.0)) is S:
                supported += 1
                assert claim_p(expectation, interval, 1.0) < alpha
    assert supported > 100


def test_differences_without_spread_are_certain() -> None:
    interval = mean_t([0.2, 0.2, 0.2], 0.9)
    flat = Interval(0.2, 0.2, 0.2, interval.n, 0.0, 0.9, 2)
    assert (claim_p(Expectation.WORSE, flat, 1.0), claim_p(Expectation.BETTER, flat, 1.0)) == (0.0, 1.0)


def test_one_seed_has_no_p() -> None:
    with pytest.raises(ValueError, match="at least two seeds, got 1"):
        claim_p(Expectation.WORSE, mean_t([0.3]), 1.0)


def test_a_study_from_outcomes_to_its_finding() -> None:
    """How the parts are put together: contrasts, claims' p over the looks, Holm, intervals at its levels, verdicts."""
    rng, looks, margin = np.random.default_rng(4), (5, 8), 0.1
    seed = rng.normal(3, 0.2, 5)
    truth = {"rate_15": 0.0, "rate_20": 0.0, "rate_90": 0.5}
    outcomes = {arm: seed + effect + rng.normal(0, 0.02, 5) for arm, effect in truth.items()}
    expects = {"rate_20": Expectation.EQUIVALENT, "rate_90": Expectation.WORSE}

    found = contrasts(outcomes, "rate_15")
    p = [overall_p(claim_p(expects[arm], found[arm].decision(), margin), looks) for arm in expects]
    levels = [interval_level(looks, alpha) for alpha in holm(p).alphas]
    verdicts = {
        arm: judge(found[arm].decision(level), margin, decides=decides(expects[arm]))
        for arm, level in zip(expects, levels, strict=True)
    }
    findings = [finding(expects[arm], verdict.kind) for arm, verdict in verdicts.items()]

    assert {arm: verdict.kind for arm, verdict in verdicts.items()} == {
        "rate_20": Kind.EQUIVALENT,
        "rate_90": Kind.WORSE_MATERIAL,
    }
    assert min(levels) > 0.94  # two looks and half of the level for the first claim
    assert study_finding(findings) is S


def test_an_interval_clear_of_better_shows_not_better_though_the_table_has_no_name_for_it() -> None:
    assert finding(Expectation.NOT_BETTER, Kind.INCONCLUSIVE, -0.02, 0.09) is S
    assert finding(Expectation.NOT_BETTER, Kind.INCONCLUSIVE, -0.10, 0.09) is U
    assert finding(Expectation.NOT_WORSE, Kind.INCONCLUSIVE, -0.02, 0.09) is U
