"""The ladder: multipliers by hand, a known line, and predictions with their nominal coverage."""

import math

import numpy as np
import pytest

from bertlab.stats.interval import around
from bertlab.stats.ladder import Rung, by_slope, coverage, fit_line

BEHIND = around(0.05, 0.02, 4, 9, 0.90)  # standard error .01


def test_an_arm_that_is_behind_by_what_tokens_buy_is_worth_so_many_fewer() -> None:
    rung = by_slope(1e12, BEHIND, -0.5)
    assert rung.multiplier == pytest.approx(-0.1)  # the baseline reaches its loss with e^-.1 of the tokens
    assert rung.se == pytest.approx(0.02)
    assert rung.interval().high == pytest.approx(-0.1 + 1.833113 * 0.02)  # t(.95, 9)
    assert by_slope(1e12, BEHIND, -0.5, 0.05).se == pytest.approx(math.hypot(0.02, 0.1 * 0.05 / 0.5))


def made(rng: np.random.Generator, between: float, slope: float = -0.1, se: float = 0.03) -> list[Rung]:
    """Draw five rungs, fourfold compute apart, about a line; the last is the one to be predicted."""
    return [Rung(4.0**k, 0.2 + slope * k * math.log(4) + rng.normal(0, math.hypot(se, between)), se) for k in range(5)]


def test_the_line_is_the_one_that_was_put_in() -> None:
    lines = [fit_line(made(np.random.default_rng(seed), 0.0)) for seed in range(300)]
    assert np.mean([line.slope for line in lines]) == pytest.approx(-0.1, abs=0.004)
    held = [line.slope_interval().low <= -0.1 <= line.slope_interval().high for line in lines]
    assert 0.86 <= np.mean(held) <= 0.97  # nominal .90; above it where chance makes rungs lie off the line


@pytest.mark.parametrize("between", [0.0, 0.03, 0.1])
def test_the_next_rung_falls_into_its_80_per_cent_interval_as_often_as_that_says(between: float) -> None:
    rng, held = np.random.default_rng(9), []
    for _ in range(600):
        *below, following = made(rng, between)
        ends = fit_line(below).predicted(following.compute, following.se)
        held.append(ends.low <= following.multiplier <= ends.high)
    assert 0.77 <= np.mean(held) <= 0.90


@pytest.mark.parametrize("between", [0.0, 0.03, 0.06])
def test_two_rungs_predict_widely_enough_for_what_they_cannot_know(between: float) -> None:
    rng, held = np.random.default_rng(4), []
    for _ in range(600):
        *below, following = made(rng, between)[:3]
        ends = fit_line(below).predicted(following.compute, following.se)
        held.append(ends.low <= following.multiplier <= ends.high)
    assert np.mean(held) >= 0.80


def test_a_rung_that_is_known_well_counts_more() -> None:
    rungs = [Rung(1.0, 0.0, 0.01), Rung(10.0, 0.1, 0.01), Rung(100.0, 0.2, 0.01), Rung(1000.0, 5.0, 100.0)]
    assert fit_line(rungs).slope == pytest.approx(0.1 / math.log(10), rel=1e-3)


def test_coverage_counts_and_says_how_likely_so_few_are() -> None:
    found = coverage([True, True, False])
    assert (found.held, found.made) == (2, 3)
    assert found.p == pytest.approx(1 - 0.8**3)
    assert coverage([]).p == 1


def test_what_is_no_ladder_is_refused() -> None:
    with pytest.raises(ValueError, match="different compute"):
        fit_line([Rung(1.0, 0.0, 0.1), Rung(1.0, 0.2, 0.1)])
    with pytest.raises(ValueError, match="must improve"):
        by_slope(1.0, BEHIND, 0.1)
