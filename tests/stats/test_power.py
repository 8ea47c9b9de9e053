"""The planning table, and chances of verdicts against the noncentral t, statsmodels and simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from bertlab.stats.claim import Expectation, decides
from bertlab.stats.interval import Shared
from bertlab.stats.moderated import Prior
from bertlab.stats.power import chance, chances, precision, seeds_needed
from bertlab.stats.rule import BY_INTERVAL, SETTLED, Kind, codes, one_of

TABLE = {  # n: smallest sign-flip p, 90 % half-width / sd, detectable / sd, margin / sd for 80 % EQUIVALENT
    3: (0.250, 1.69, 3.26, 2.66),
    4: (0.125, 1.18, 2.13, 1.93),
    5: (0.063, 0.95, 1.68, 1.60),
    6: (0.031, 0.82, 1.43, 1.40),
    8: (0.008, 0.67, 1.16, 1.15),
    10: (0.002, 0.58, 1.00, 1.01),
}


@pytest.mark.parametrize("n", TABLE)
def test_the_planning_table(n: int) -> None:
    row = precision(n)
    smallest_p, *lengths = TABLE[n]
    assert row.smallest_p == pytest.approx(smallest_p, abs=0.0006)
    assert [row.half_width, row.detectable, row.decidable] == pytest.approx(lengths, abs=0.0075)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
def test_the_detectable_effect_is_that_of_statsmodels(n: int) -> None:
    theirs = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert precision(n).detectable == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(("n", "sd", "effect"), [(3, 0.5, 2.0), (5, 0.5, 1.0), (8, 1.0, 0.5), (10, 0.7, -1.4)])
def test_material_verdicts_have_the_chance_of_the_noncentral_t(n: int, sd: float, effect: float) -> None:
    found, critical = chances(n, sd, effect, 1.0), stats.t.ppf(0.95, n - 1)
    worse = stats.nct.sf(critical, n - 1, (effect - 1) * math.sqrt(n) / sd)
    assert found[Kind.WORSE_MATERIAL] == pytest.approx(worse, abs=2e-4)
    better = stats.nct.sf(critical, n - 1, (-effect - 1) * math.sqrt(n) / sd)
    assert found[Kind.BETTER_MATERIAL] == pytest.approx(better, abs=2e-4)


@pytest.mark.parametrize(("n", "sd", "effect"), [(3, 1.0, 0.5), (5, 0.5, 1.0), (4, 2.0, 0.3), (6, 0.6, -0.8)])
def test_every_chance_agrees_with_simulation(n: int, sd: float, effect: float) -> None:
    d = effect + sd * np.random.default_rng(n).normal(size=(100_000, n))
    half = stats.t.ppf(0.95, n - 1) * d.std(1, ddof=1) / math.sqrt(n)
    code = codes(d.mean(1) - half, d.mean(1) + half, 1.0)
    simulated = np.bincount(code, minlength=len(BY_INTERVAL)) / len(d)
    # AT THE MARGIN begins at one half-width, which falls between two of the 100 that are averaged over
    assert list(chances(n, sd, effect, 1.0).values()) == pytest.approx(simulated, abs=0.012)


def test_with_a_prior_chances_are_those_of_the_moderated_t() -> None:
    prior, n, sd, effect = Prior(0.5, 4.0), 5, 0.6, 0.7
    d = effect + sd * np.random.default_rng(8).normal(size=(100_000, n))
    moderated = np.sqrt((prior.df * prior.variance + (n - 1) * d.var(1, ddof=1)) / (prior.df + n - 1))
    half = stats.t.ppf(0.95, prior.df + n - 1) * moderated / math.sqrt(n)
    simulated = np.bincount(codes(d.mean(1) - half, d.mean(1) + half, 1.0), minlength=len(BY_INTERVAL)) / len(d)
    assert list(chances(n, sd, effect, 1.0, prior=prior).values()) == pytest.approx(simulated, abs=0.012)


def test_noise_that_all_seeds_share_makes_decisions_rarer_and_no_seeds_make_up_for_it() -> None:
    n, sd, effect, shared = 6, 0.6, 0.2, Shared(0.04, 15)
    d = effect + sd * np.random.default_rng(9).normal(size=(100_000, n))
    variance = d.var(1, ddof=1) / n
    df = (variance + 0.04) ** 2 / (variance**2 / (n - 1) + 0.04**2 / 15)
    half = stats.t.ppf(0.95, df) * np.sqrt(variance + 0.04)
    simulated = np.isin(codes(d.mean(1) - half, d.mean(1) + half, 1.0), [BY_INTERVAL.index(k) for k in SETTLED]).mean()
    assert chance(n, sd, effect, 1.0, shared=shared) == pytest.approx(simulated, abs=0.01)
    assert seeds_needed(0.1, 0.0, 1.0, shared=Shared(0.5, 15)) is None
    assert chance(5, 0.0, 0.0, 1.0, shared=Shared(0.5, 15)) == 0


def test_chances_sum_to_one_and_turn_with_the_effect() -> None:
    there, back = chances(5, 0.8, 0.6, 1.0), chances(5, 0.8, -0.6, 1.0)
    assert sum(there.values()) == pytest.approx(1)
    assert there[Kind.WORSE_UNRESOLVED] == pytest.approx(back[Kind.BETTER_UNRESOLVED])
    assert there[Kind.EQUIVALENT] == pytest.approx(back[Kind.EQUIVALENT])


def test_at_half_a_margin_of_spread_five_seeds_know_zero_from_twice_the_margin() -> None:
    assert chances(5, 0.5, 0.0, 1.0)[Kind.EQUIVALENT] == pytest.approx(0.95, abs=0.005)
    assert chances(5, 0.5, 2.0, 1.0)[Kind.WORSE_MATERIAL] == pytest.approx(0.97, abs=0.005)


def test_without_spread_the_truth_is_found() -> None:
    assert chances(3, 0.0, 2.0, 1.0)[Kind.WORSE_MATERIAL] == 1.0


def test_a_stricter_level_decides_less() -> None:
    assert chance(5, 0.5, 0.0, 1.0, level=0.95) < chance(5, 0.5, 0.0, 1.0)


def test_the_seeds_needed_are_the_fewest_with_80_per_cent() -> None:
    n = seeds_needed(1.0, 0.0, 1.01)
    assert n == 10  # the planning table: margin / sd for 80 % EQUIVALENT
    assert chance(10, 1.0, 0.0, 1.01) >= 0.80 > chance(9, 1.0, 0.0, 1.01)


def test_a_question_beyond_100_seeds_needs_no_number() -> None:
    assert seeds_needed(1.0, 1.0, 1.0) is None
    assert seeds_needed(1.0, 1.0, 1.0, decides=decides(Expectation.WORSE)) is not None


def test_the_search_starts_at_a_given_number_and_never_below_three() -> None:
    assert seeds_needed(0.01, 0.0, 1.0) == 3
    assert seeds_needed(0.01, 0.0, 1.0, fewest=6) == 6


def test_a_verdict_that_no_interval_decides_has_no_chance() -> None:
    assert chance(5, 0.5, 0.0, 1.0, decides=one_of({Kind.INVALID})) == 0
    assert chance(5, 0.5, 0.0, 1.0, decides=one_of(SETTLED | {Kind.VACUOUS})) == chance(5, 0.5, 0.0, 1.0)


@pytest.mark.parametrize(("n", "sd", "margin"), [(1, 1.0, 1.0), (5, -1.0, 1.0), (5, 1.0, 0.0)])
def test_what_is_no_study_is_refused(n: int, sd: float, margin: float) -> None:
    with pytest.raises(ValueError, match="are needed"):
        chances(n, sd, 0.0, margin)
