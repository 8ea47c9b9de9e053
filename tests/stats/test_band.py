"""The simultaneous band: wider than pointwise, narrower than Bonferroni, and true at all points at once."""

import numpy as np
import pytest
from scipy import stats

from bertlab.stats.band import simultaneous


def curves(n: int, points: int, seed: int, follow: float = 0.98) -> np.ndarray:
    """Draw correlated normal differences, like successive evaluations of one run."""
    rng = np.random.default_rng(seed)
    distance = np.abs(np.subtract.outer(np.arange(points), np.arange(points)))
    return rng.normal(size=(n, points)) @ np.linalg.cholesky(follow**distance).T


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_critical_value_lies_between_one_point_and_bonferroni(n: int) -> None:
    band = simultaneous(curves(n, 20, seed=n), np.random.default_rng(0))
    assert stats.t.ppf(0.95, n - 1) < band.critical <= stats.t.ppf(1 - 0.05 / 20, n - 1)
    assert (band.n, band.level, len(band.mean)) == (n, 0.90, 20)


def test_one_point_alone_has_about_the_interval_of_t() -> None:
    band = simultaneous(curves(6, 1, seed=1), np.random.default_rng(0))
    assert band.critical == pytest.approx(stats.t.ppf(0.95, 5), rel=0.05)


def test_points_that_move_together_cost_less_than_points_that_do_not() -> None:
    together, apart = (simultaneous(curves(8, 15, 2, follow), np.random.default_rng(0)) for follow in (0.999, 0.1))
    assert together.critical < apart.critical


@pytest.mark.parametrize(("n", "least"), [(3, 0.88), (5, 0.87)])
def test_the_band_holds_at_all_points_at_once(n: int, least: float) -> None:
    rng, truth = np.random.default_rng(7), np.linspace(-1, 1, 12)
    bands = [simultaneous(truth + curves(n, 12, seed), rng) for seed in range(100)]
    held = [((np.array(b.low) <= truth) & (truth <= np.array(b.high))).all() for b in bands]
    assert np.mean(held) > least - 0.03


def test_turning_the_differences_around_turns_the_band_around() -> None:
    d = curves(5, 6, seed=3)
    band, turned = (simultaneous(sign * d, np.random.default_rng(0)) for sign in (1, -1))
    assert np.array(turned.low) == pytest.approx(-np.array(band.high), rel=0.01)  # the mixed-in noise does not turn


def test_a_point_where_all_seeds_agree_has_no_width() -> None:
    d = curves(4, 3, seed=3)
    d[:, 0] = 0.25
    band = simultaneous(d, np.random.default_rng(0))
    assert (band.low[0], band.high[0]) == (0.25, 0.25)


@pytest.mark.parametrize("d", [np.ones((2, 4)), np.ones(4), np.full((3, 4), np.nan)])
def test_too_few_seeds_or_values_that_are_not_finite_are_refused(d: np.ndarray) -> None:
    with pytest.raises(ValueError, match="three seeds or more"):
        simultaneous(d, np.random.default_rng(0))
