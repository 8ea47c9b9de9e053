"""The margin of a curve whose slope is known."""

import math

import numpy as np
import pytest
from scipy.stats import linregress

from bertlab.stats.margin import worth_of_tokens

TOKENS = np.linspace(100_000, 2_000_000, 20)


def test_a_straight_line_over_ln_tokens_gives_its_slope() -> None:
    curve = 9.0 - 0.46 * np.log(TOKENS)
    found = worth_of_tokens(TOKENS, curve, 0.05)
    assert found.slope == pytest.approx(-0.46)
    assert found.delta == pytest.approx(0.46 * math.log(1.05))
    assert found.delta == pytest.approx(0.022, abs=0.0005)  # nats: the worked example of the rule book
    assert found.points == 11


def test_the_margin_is_what_the_extra_tokens_would_have_bought() -> None:
    slope, share = -0.3, 0.25
    found = worth_of_tokens(TOKENS, 5 + slope * np.log(TOKENS), share)
    more = 5 + slope * math.log(TOKENS[-1] * (1 + share))
    assert found.delta == pytest.approx(5 + slope * math.log(TOKENS[-1]) - more)


def test_only_the_end_of_the_curve_counts() -> None:
    curve = np.where(TOKENS < 1_000_000, 8.0, 9.0 - 0.2 * np.log(TOKENS))
    assert worth_of_tokens(TOKENS, curve, 0.05).slope == pytest.approx(-0.2)
    assert worth_of_tokens(TOKENS, curve, 0.05, last=1.0).slope != pytest.approx(-0.2, rel=0.1)


def test_the_slopes_of_the_seeds_are_those_of_linear_regression_and_are_averaged() -> None:
    curves = 9 - 0.4 * np.log(TOKENS) + np.random.default_rng(0).normal(0, 0.05, (3, 20))
    found = worth_of_tokens(TOKENS, curves, 0.05)
    theirs = [linregress(np.log(TOKENS[9:]), curve[9:]).slope for curve in curves]
    assert found.slopes == pytest.approx(theirs)
    assert found.delta == pytest.approx(abs(np.mean(theirs)) * math.log(1.05))


def test_an_accuracy_that_rises_has_the_same_margin_as_its_negative() -> None:
    assert worth_of_tokens(TOKENS, np.log(TOKENS), 0.1).delta == worth_of_tokens(TOKENS, -np.log(TOKENS), 0.1).delta


def test_what_has_no_slope_is_refused() -> None:
    with pytest.raises(ValueError, match="no longer changes"):
        worth_of_tokens(TOKENS, np.full(20, 3.0), 0.05)
    with pytest.raises(ValueError, match="4 evaluations near the end, got 2"):
        worth_of_tokens([1, 10, 100, 150], [4, 3, 2, 1], 0.05)
    with pytest.raises(ValueError, match="share must be positive"):
        worth_of_tokens(TOKENS, -np.log(TOKENS), 0)
    with pytest.raises(ValueError, match="finite, one per seed and evaluation"):
        worth_of_tokens(TOKENS, [[1.0, 2.0]], 0.05)
    with pytest.raises(ValueError, match="positive and ascend"):
        worth_of_tokens([3, 2, 1], [1.0, 2.0, 3.0], 0.05)


def test_the_margin_has_the_interval_of_its_slopes_over_seeds() -> None:
    curves = np.array([9 - slope * np.log(TOKENS) for slope in (0.3, 0.4, 0.5)])
    found = worth_of_tokens(TOKENS, curves, 0.25)
    half = 2.919986 * 0.1 / math.sqrt(3) * math.log(1.25)  # t(.95, 2)
    assert (found.interval.low, found.interval.high) == pytest.approx((found.delta - half, found.delta + half))
    assert found.rough  # half of it is 42 % of the margin
    assert not worth_of_tokens(TOKENS, [9 - slope * np.log(TOKENS) for slope in (0.39, 0.4, 0.41)], 0.25).rough


def test_a_single_seed_is_rough() -> None:
    assert worth_of_tokens(TOKENS, 9 - 0.4 * np.log(TOKENS), 0.25).rough


def test_a_margin_means_fewer_tokens_where_the_curve_is_steeper() -> None:
    steep = worth_of_tokens(TOKENS, 9 - 0.8 * np.log(TOKENS), 0.25)
    assert steep.meaning(0.4 * math.log(1.25)) == pytest.approx(1.25**0.5 - 1)
    assert steep.meaning(steep.delta) == pytest.approx(0.25)
