"""False SUPPORTED and false REFUTED of claims about 1 to 6 arms, with looks; the printed version simulates more."""

import numpy as np
import pandas as pd
import pytest

from bertlab.config.compose import PACKAGE
from bertlab.stats.claim import Expectation, Finding
from bertlab.stats.claim_calibration import Setting, empirical, finding_rates, normal, unequal, worst_rates
from bertlab.stats.moderated import Prior
from tests.marks import slow_but

STUDIES = 3000  # the standard error of a rate of 5 % is .4 %
ROOM = 0.016  # four of them: the largest of ten rates is looked at
PRIOR = Prior(0.7, 2.6)  # margins: what the first regime has


@pytest.mark.parametrize("arms", slow_but([6], [1, 2, 3, 6]))
@pytest.mark.parametrize("expectation", Expectation)
def test_no_claim_is_falsely_supported_or_refuted_in_more_than_5_per_cent(expectation: Expectation, arms: int) -> None:
    rng = np.random.default_rng(arms)
    for noise in (normal(0.5), unequal(PRIOR)):
        found = worst_rates(expectation, arms, (5, 8), noise, STUDIES, rng)
        assert max(found.values()) <= 0.05 + ROOM


def baseline_runs() -> np.ndarray:
    """Return the final losses of the 35 committed runs of one procedure: the baseline, with redrawn streams."""
    runs = pd.read_csv(PACKAGE.parent / "reports" / "again" / "runs.csv")
    return np.asarray(runs.loc[runs["arm"].isin(["once", "order", "mask", "same", "exploration"]), "eval/mlm_loss"])


@pytest.mark.parametrize("expectation", [Expectation.WORSE, Expectation.NOT_BETTER, Expectation.EQUIVALENT])
@pytest.mark.parametrize("prior", slow_but([PRIOR], [Prior(0.0, 0.0), PRIOR]))
def test_under_the_noise_of_real_runs_errors_stay_below_6_per_cent(expectation: Expectation, prior: Prior) -> None:
    losses = baseline_runs()
    assert losses.size == 35
    noise = empirical(losses, margin=0.125)
    for arms in (1, 6):
        found = worst_rates(expectation, arms, (5, 8), noise, STUDIES, np.random.default_rng(arms), prior)
        assert max(found.values()) <= 0.06 + ROOM


@pytest.mark.parametrize("looks", [(3,), (3, 5)])
@pytest.mark.parametrize("text", [0.05, 0.15, 0.4])
def test_noise_of_the_evaluated_text_is_paid_for_from_three_seeds_on(looks: tuple[int, ...], text: float) -> None:
    for expectation in (Expectation.WORSE, Expectation.NOT_BETTER, Expectation.EQUIVALENT):
        found = worst_rates(expectation, 1, looks, normal(0.4), STUDIES, np.random.default_rng(5), text=text)
        assert max(found.values()) <= 0.05 + ROOM


def test_the_rule_is_not_idle() -> None:
    rng = np.random.default_rng(3)
    found = worst_rates(Expectation.WORSE, 1, (5, 8), normal(0.5), STUDIES, rng)
    assert min(found["false SUPPORTED"], found["false REFUTED"]) > 0.035


@pytest.mark.parametrize("arms", [1, 3])
def test_large_differences_are_found(arms: int) -> None:
    setting = Setting(Expectation.MATERIALLY_WORSE, (2.0,) * arms, (5, 8))
    assert finding_rates(setting, normal(0.3), 1000, np.random.default_rng(0))[Finding.SUPPORTED] > 0.95
    setting = Setting(Expectation.NOT_WORSE, (2.0,) * arms, (5, 8))
    assert finding_rates(setting, normal(0.3), 1000, np.random.default_rng(0))[Finding.REFUTED] > 0.95


def test_correcting_over_arms_is_what_keeps_refutations_down() -> None:
    """Without Holm's correction a claim about six arms at the margin would be falsely refuted three times as often."""
    rng, at_margin = np.random.default_rng(2), (-1.0,) * 6
    whole = finding_rates(Setting(Expectation.NOT_BETTER, at_margin, (5,)), normal(0.4), 4000, rng)
    single = finding_rates(Setting(Expectation.NOT_BETTER, at_margin[:1], (5,)), normal(0.4), 4000, rng)
    assert single[Finding.REFUTED] == pytest.approx(0.05, abs=0.012)
    assert whole[Finding.REFUTED] <= 0.05 + 0.012
