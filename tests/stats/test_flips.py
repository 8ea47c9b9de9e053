"""Sign flips: hand counts on a few seeds, and scipy's own enumeration."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from bertlab.stats.flips import sign_flip_p, signs


def test_all_sign_vectors_are_there_and_the_first_leaves_the_data_alone() -> None:
    table = signs(3)
    assert table[0].tolist() == [1, 1, 1]
    assert len({tuple(row) for row in table.tolist()}) == 8


@pytest.mark.parametrize(("n", "p"), [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)])
def test_differences_of_one_sign_reach_the_smallest_p(n: int, p: float) -> None:
    assert sign_flip_p(np.arange(1, n + 1) / 7) == p


def test_the_p_counts_patterns_by_hand() -> None:
    # sums of +-1 +-2 +-3 with |sum| >= |1 + 2 - 3| = 0: all eight; >= |-1 + 2 + 3| = 4: 6, 4, -4, -6
    assert sign_flip_p([1, 2, -3]) == 1.0
    assert sign_flip_p([-1, 2, 3]) == 0.5


def test_equal_patterns_count_whatever_the_rounding() -> None:
    assert sign_flip_p([0.1, 0.1, 0.1]) == 0.25
    assert sign_flip_p([0.0, 0.0, 0.0]) == 1.0


@pytest.mark.parametrize("n", [3, 5, 8])
def test_scipy_enumerates_the_same_p(n: int) -> None:
    d = np.random.default_rng(n).normal(0.4, 1, n)
    theirs = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(d) == pytest.approx(theirs.pvalue)


def test_turning_the_differences_around_changes_no_p() -> None:
    d = np.random.default_rng(7).normal(size=6)
    assert sign_flip_p(d) == sign_flip_p(-d) == sign_flip_p(1000 * d)


@pytest.mark.slow
def test_many_seeds_are_judged_by_patterns_that_are_drawn() -> None:
    d = np.random.default_rng(3).normal(0.3, 1, 25)
    by_scipy = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=100_000, rng=1)
    assert sign_flip_p(d) == pytest.approx(by_scipy.pvalue, abs=0.005)
    assert sign_flip_p(d) == sign_flip_p(d)
    assert sign_flip_p(np.ones(40)) == 1 / 65_537  # no drawn pattern turns all or none


def test_what_is_not_finite_or_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one seed"):
        sign_flip_p([])
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p([1.0, np.nan])
