"""An arm against a bank of the baseline's runs: Welch's test, moderated, and how often it errs."""

import math

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.bank import against_bank
from bertlab.stats.moderated import Prior


def test_without_a_prior_it_is_welch() -> None:
    rng = np.random.default_rng(1)
    arm, bank = rng.normal(3.3, 0.1, 5), rng.normal(3.0, 0.2, 24)
    found, theirs = against_bank(arm, bank), stats.ttest_ind(arm, bank, equal_var=False)
    assert found.mean / found.se == pytest.approx(theirs.statistic)
    assert found.df == pytest.approx(theirs.df)


def test_a_prior_moderates_both_variances_by_hand() -> None:
    found = against_bank([1.0, 2.0, 3.0], [0.0, 2.0], Prior(4.0, 6.0))  # variances 1 and 2
    arm, bank = (24 + 2) / 8 / 3, (24 + 2) / 7 / 2
    assert found.se == pytest.approx(math.sqrt(arm + bank))
    assert found.df == pytest.approx((arm + bank) ** 2 / (arm**2 / 8 + bank**2 / 7))


@pytest.mark.parametrize("prior", [Prior(0.0, 0.0), Prior(1.0, 6.0)])
@pytest.mark.slow
def test_without_an_effect_it_errs_in_5_per_cent_a_side(prior: Prior) -> None:
    rng = np.random.default_rng(2)
    studies = [against_bank(rng.standard_normal(5), rng.standard_normal(24), prior) for _ in range(6_000)]
    above = [each.mean / each.se > stats.t.ppf(0.95, each.df) for each in studies]
    assert np.mean(above) == pytest.approx(0.05, abs=0.011)


def test_it_is_worth_more_than_pairs_where_pairing_does_not_pay() -> None:
    """Five arms' runs against 24 of the bank: a smaller standard error than five unrelated pairs have."""
    rng = np.random.default_rng(3)
    arms, bases = rng.standard_normal((2_000, 5)), rng.standard_normal((2_000, 24))
    banked = np.mean([against_bank(arm, base).se for arm, base in zip(arms, bases, strict=True)])
    paired = np.mean((arms - bases[:, :5]).std(axis=1, ddof=1) / math.sqrt(5))
    assert banked < 0.85 * paired


@pytest.mark.parametrize(("arm", "bank"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0]), ([1.0, math.nan], [1.0, 2.0])])
def test_one_run_or_a_diverged_one_is_refused(arm: list[float], bank: list[float]) -> None:
    with pytest.raises(ValueError, match="two finite outcomes or more"):
        against_bank(arm, bank)
