"""Noise of the evaluated text: values by hand, and intervals with nominal coverage when all seeds share it."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from bertlab.stats.contrast import contrast
from bertlab.stats.interval import Shared
from bertlab.stats.moderated import Prior
from bertlab.stats.noise import Between, between_chunks, between_runs, of_answers, text_needed
from tests.marks import slow_but


def made(run_sd: float, noise_sd: float, chunks: int = 50, runs: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 3, chunks)  # chunks differ far more than runs do
    return rng.normal(0, run_sd, (runs, 1)) + hard + rng.normal(0, noise_sd, (runs, chunks))


def test_chunks_give_the_variance_of_their_mean() -> None:
    assert between_chunks([1.0, 2.0, 3.0, 6.0]) == Shared(pytest.approx(14 / 3 / 4), 3)  # squares 4, 1, 0, 9


def test_answers_give_the_variance_of_two_binomial_shares() -> None:
    found = of_answers([0.5, 0.6], 256)
    assert found.variance == pytest.approx((0.25 + 0.24) / 256)
    assert found.variance**0.5 == pytest.approx(0.0438, abs=1e-4)
    assert found.df == np.inf


@pytest.mark.parametrize(
    ("share", "sequences", "would_do"), [(0.05, 256, 256), (0.10, 256, 256), (0.2, 256, 576), (0.5, 100, 900)]
)
def test_the_text_that_would_do_brings_the_share_down_to_ten_per_cent(
    share: float, sequences: int, would_do: int
) -> None:
    assert text_needed(share, sequences) == would_do  # .2: 256 * .2 / .8 * 9
    text = share * sequences / would_do
    assert text / (text + 1 - share) <= 0.1 + 1e-9


def test_text_alone_needs_much_more_of_it() -> None:
    assert text_needed(1.0, 256) > 100 * 256


COVERAGE = [(1.0, 1.0, 0.5, 16), (1.0, 0.0, 1.0, 16), (1.0, 1.0, 0.5, 4)]


@pytest.mark.parametrize(("seed_sd", "chunk_sd", "error_sd", "chunks"), COVERAGE)
@pytest.mark.parametrize("seeds", slow_but([3], [3, 8]))
def test_intervals_cover_as_often_as_they_say_when_seeds_share_the_text(
    seed_sd: float, chunk_sd: float, error_sd: float, chunks: int, seeds: int
) -> None:
    """Spreads of seeds, of the mean over all chunks due to the text, and of a seed's own response to that text."""
    studies, rng, root = 1_000, np.random.default_rng(27), np.sqrt(chunks)
    y_RSC = 0.3 + seed_sd * rng.standard_normal((studies, seeds, 1))
    y_RSC = y_RSC + chunk_sd * root / np.sqrt(seeds) * rng.standard_normal((studies, 1, chunks))
    y_RSC = y_RSC + error_sd * root * rng.standard_normal((studies, seeds, chunks))
    with_text, without = 0, 0
    for y_SC in y_RSC:
        plain = contrast(y_SC.mean(axis=1), np.zeros(seeds))
        noisy = contrast(y_SC.mean(axis=1), np.zeros(seeds), text=between_chunks(y_SC.mean(axis=0)))
        ends, narrow = noisy.interval(0.90), plain.interval(0.90)
        with_text += ends.low <= 0.3 <= ends.high
        without += narrow.low <= 0.3 <= narrow.high
    assert with_text / studies >= 0.875  # 2.6 standard errors; above .9 where a seed's own answers are counted twice
    if chunk_sd >= 1:
        assert with_text / studies <= 0.95
        assert without / studies < 0.87


def test_the_noise_between_runs_is_the_residual_of_the_two_way_layout() -> None:
    y = np.random.default_rng(1).normal(size=(4, 6))
    cells = [{"run": s, "chunk": c, "y": y[s, c]} for s in range(4) for c in range(6)]
    theirs = ols("y ~ C(run) + C(chunk)", pd.DataFrame(cells)).fit().mse_resid / 6
    assert between_runs(y).text == pytest.approx(theirs)
    assert between_runs(y).total == pytest.approx(y.mean(axis=1).var(ddof=1))


@pytest.mark.parametrize(("noise_sd", "share"), [(0.1, 0.01 / 50 / (0.01 + 0.01 / 50)), (0.5, 0.005 / 0.015), (0.0, 0)])
def test_the_share_between_runs_is_the_one_that_was_put_in(noise_sd: float, share: float) -> None:
    assert between_runs(made(0.1, noise_sd)).share() == pytest.approx(share, rel=0.15, abs=1e-12)


def test_hard_chunks_are_no_noise_between_runs() -> None:
    y = made(0.1, 0.1, runs=6)
    assert between_runs(y).text == pytest.approx(between_runs(y - y.mean(axis=0)).text)


def test_with_a_prior_few_runs_say_less_of_the_total() -> None:
    found = Between(text=0.01, total=0.1)
    assert found.share() == pytest.approx(0.1)
    assert found.share(Prior(0.4, 4.0), df=2.0) == pytest.approx(0.02 / ((4 * 0.4 + 2 * 0.2) / 6))
    assert Between(0.0, 0.0).share() == 0
    assert Between(0.1, 0.0).share() == 1


def test_too_few_or_not_finite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="two finite chunks"):
        between_chunks([1.0])
    with pytest.raises(ValueError, match="two runs or more"):
        between_runs([[1.0, 2.0]])
    with pytest.raises(ValueError, match="rates must lie"):
        of_answers([1.5], 10)
