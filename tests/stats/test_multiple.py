"""Holm against statsmodels and by hand; joint sign flips against a plain count."""

import itertools

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bertlab.stats.flips import sign_flip_p
from bertlab.stats.multiple import holm, max_t_p


def test_holm_by_hand() -> None:
    found = holm([0.04, 0.012, 0.03])  # steps: .012 * 3, .03 * 2, .04 * 1 raised to .06
    assert found.adjusted == pytest.approx((0.06, 0.036, 0.06))
    assert found.rejected == (False, True, False)
    assert found.alphas == pytest.approx((0.025, 0.05 / 3, 0.025))
    assert found.levels == pytest.approx((0.95, 1 - 0.1 / 3, 0.95))


def test_one_primary_alone_keeps_the_90_per_cent_interval() -> None:
    assert holm([0.3]).levels == (0.90,)
    assert holm([0.03]).levels == (0.90,)


def test_when_every_claim_holds_the_last_is_tested_at_the_full_level() -> None:
    found = holm([0.001, 0.002, 0.049])
    assert found.rejected == (True, True, True)
    assert found.alphas == pytest.approx((0.05 / 3, 0.025, 0.05))


def test_a_decision_is_the_comparison_of_p_with_its_own_level() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.uniform(0, 0.08, size=rng.integers(1, 7))
        found = holm(p)
        assert found.rejected == tuple(p <= np.array(found.alphas))


@pytest.mark.parametrize("seed", range(5))
def test_statsmodels_adjusts_alike(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.1, 6)
    rejected, adjusted, *_ = multipletests(p, method="holm")
    assert holm(p).adjusted == pytest.approx(adjusted)
    assert holm(p).rejected == tuple(rejected)


@pytest.mark.parametrize("p", [[], [0.1, np.nan], [1.2]])
def test_what_is_no_family_of_p_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match=r"p-values in \[0, 1\]"):
        holm(p)


def test_a_level_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha must lie"):
        holm([0.1], alpha=5)


def test_joint_flips_count_the_largest_t_of_all_arms() -> None:
    d = np.random.default_rng(2).normal(0.5, 1, size=(3, 6))
    largest = []
    for signs in itertools.product([1, -1], repeat=6):
        flipped = d * np.array(signs)
        largest.append(np.abs(flipped.mean(1) / flipped.std(1, ddof=1)).max())
    own = np.abs(d.mean(1) / d.std(1, ddof=1))
    assert max_t_p(d) == pytest.approx([np.mean(np.array(largest) >= t - 1e-9) for t in own])


def test_one_arm_alone_has_the_plain_sign_flip_p() -> None:
    d = np.random.default_rng(4).normal(0.5, 1, size=5)
    assert max_t_p(d[None]) == (sign_flip_p(d),)


def test_more_arms_never_lower_a_p() -> None:
    d = np.random.default_rng(6).normal(0.5, 1, size=(4, 7))
    assert all(joint >= sign_flip_p(arm) for joint, arm in zip(max_t_p(d), d, strict=True))


def test_arms_that_repeat_each_other_cost_nothing() -> None:
    d = np.random.default_rng(6).normal(0.5, 1, size=7)
    assert max_t_p(np.array([d, d, 3 * d])) == pytest.approx([sign_flip_p(d)] * 3)


def test_family_wise_errors_stay_at_the_level() -> None:
    rng = np.random.default_rng(9)
    arms = rng.normal(size=(600, 4, 6)) - rng.normal(size=(600, 1, 6))  # one baseline for all, no effect
    assert np.mean([min(max_t_p(study)) <= 0.05 for study in arms]) <= 0.05 + 3 * 0.009


def test_differences_that_are_not_a_finite_table_are_refused() -> None:
    with pytest.raises(ValueError, match="finite table"):
        max_t_p([1.0, 2.0])
