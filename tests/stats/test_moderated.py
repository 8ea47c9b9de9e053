"""The prior of variances: against scipy's likelihood, the moments of its fit, and the t distribution."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from bertlab.stats.moderated import NO_PRIOR, Prior, fit_prior, trigamma_inverse


def variances(prior: Prior, df: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw variances of samples whose true variances come from a prior."""
    rng = np.random.default_rng(seed)
    true = prior.df * prior.variance / rng.chisquare(prior.df, df.size)
    return np.asarray(true * rng.chisquare(df) / df)


@pytest.mark.parametrize(("d0", "s0"), [(2.6, 0.1), (8.0, 0.03), (40.0, 2.0)])
def test_the_prior_that_variances_were_drawn_from_is_found_again(d0: float, s0: float) -> None:
    df = np.tile([4, 7], 20_000)
    found = fit_prior(variances(Prior(s0**2, d0), df), df)
    assert found.df == pytest.approx(d0, rel=0.1)
    assert math.sqrt(found.variance) == pytest.approx(s0, rel=0.02)
    assert found.contrasts == 40_000


def test_it_agrees_with_the_likelihood_of_scaled_f_which_is_another_derivation() -> None:
    """A sample variance over s0^2 is F(d, d0); moments and likelihood are two ways to the same two numbers."""
    df = np.full(5_000, 4)
    s2 = variances(Prior(0.01, 5.0), df, seed=3)

    def cost(log_parts: np.ndarray) -> float:
        d0, variance = np.exp(log_parts)
        return float(-stats.f.logpdf(s2 / variance, 4, d0).sum() + s2.size * np.log(variance))

    d0, variance = np.exp(optimize.minimize(cost, np.log([3.0, 0.02]), method="Nelder-Mead").x)
    found = fit_prior(s2, df)
    assert (found.df, found.variance) == (pytest.approx(d0, rel=0.12), pytest.approx(variance, rel=0.03))


def test_the_fit_has_the_moments_of_log_variances_that_smyth_equates() -> None:
    """Equations of Smyth 2004, section 6.2, put back: mean and variance of e are those of the fitted prior."""
    df = np.array([4, 4, 7, 7, 4, 7, 4, 4, 7, 4])
    s2 = np.array([0.011, 0.002, 0.09, 0.013, 0.004, 0.3, 0.006, 0.02, 0.05, 0.0011])
    found = fit_prior(s2, df)
    e = np.log(s2) - special.digamma(df / 2) + np.log(df / 2)
    half = found.df / 2
    assert e.mean() == pytest.approx(math.log(found.variance) - special.digamma(half) + math.log(half))
    assert np.var(e, ddof=1) == pytest.approx(np.mean(special.polygamma(1, df / 2)) + special.polygamma(1, half))


def test_variances_that_differ_by_chance_alone_are_pooled_over_their_degrees_of_freedom() -> None:
    found = fit_prior([0.9, 1.0, 1.1, 1.0], [4, 4, 8, 4])
    assert found == Prior(pytest.approx((3.6 + 4 + 8.8 + 4) / 20), 20.0, 4)


@pytest.mark.parametrize("x", [0.01, 0.3, 1.0, 5.0, 400.0, 1e6])
def test_the_inverse_of_trigamma_undoes_it(x: float) -> None:
    assert trigamma_inverse(float(special.polygamma(1, x))) == pytest.approx(x, rel=1e-6)


def test_a_moderated_variance_by_hand() -> None:
    sd, df = Prior(4.0, 6.0).moderated(1.0, 4)
    assert (sd, df) == (pytest.approx(math.sqrt((24 + 4) / 10)), 10.0)


def test_without_a_prior_or_a_spread_nothing_is_moderated() -> None:
    assert NO_PRIOR.moderated(0.3, 4) == (0.3, 4)
    sd, df = Prior(4.0, 6.0).moderated(math.nan, 0)
    assert math.isnan(sd)
    assert df == 0


def test_the_moderated_t_errs_as_often_as_it_says_and_is_narrower_than_students() -> None:
    prior, rng, n = Prior(1.0, 6.0), np.random.default_rng(5), 5
    sd = np.sqrt(prior.df * prior.variance / rng.chisquare(prior.df, 40_000))
    d = sd[:, None] * rng.standard_normal((40_000, n))
    moderated = np.array([prior.moderated(own, n - 1)[0] for own in d.std(axis=1, ddof=1)])
    half = stats.t.ppf(0.95, n - 1 + prior.df) * moderated / math.sqrt(n)
    assert np.mean(d.mean(axis=1) > half) == pytest.approx(0.05, abs=0.0035)
    students = stats.t.ppf(0.95, n - 1) * d.std(axis=1, ddof=1) / math.sqrt(n)
    assert np.mean(half) < np.mean(students)


@pytest.mark.parametrize(
    ("s2", "df"), [([1.0, 2.0], [4, 4]), ([1.0, 0.0, 2.0], [4, 4, 4]), ([1.0, 2.0, 3.0], [4, 0, 4]), ([1, 2, 3], [4])]
)
def test_too_few_or_impossible_variances_are_refused(s2: list[float], df: list[int]) -> None:
    with pytest.raises(ValueError, match=r"three contrasts or more|positive and finite"):
        fit_prior(s2, df)
