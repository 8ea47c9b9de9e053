"""Shares of noise that are known because the data were made so."""

import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from bertlab.stats.noise import from_chunks, from_standard_errors


def made(seed_sd: float, noise_sd: float, chunks: int = 50, seeds: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 3, chunks)  # chunks differ far more than seeds do
    return rng.normal(0, seed_sd, (seeds, 1)) + hard + rng.normal(0, noise_sd, (seeds, chunks))


@pytest.mark.parametrize(("noise_sd", "share"), [(0.1, 0.01 / 50 / (0.01 + 0.01 / 50)), (0.5, 0.005 / 0.015), (0.0, 0)])
def test_the_share_is_the_one_that_was_put_in(noise_sd: float, share: float) -> None:
    assert from_chunks(made(0.1, noise_sd)).share == pytest.approx(share, rel=0.15, abs=1e-12)


def test_the_noise_is_the_residual_of_the_two_way_layout() -> None:
    y = np.random.default_rng(1).normal(size=(4, 6))
    cells = [{"seed": s, "chunk": c, "y": y[s, c]} for s in range(4) for c in range(6)]
    theirs = ols("y ~ C(seed) + C(chunk)", pd.DataFrame(cells)).fit().mse_resid / 6
    assert from_chunks(y).noise == pytest.approx(theirs)
    assert from_chunks(y).total == pytest.approx(y.mean(axis=1).var(ddof=1))


def test_hard_chunks_are_no_noise_between_seeds() -> None:
    y = made(0.1, 0.1, seeds=6)
    easier = from_chunks(y - y.mean(axis=0))
    assert from_chunks(y).share == pytest.approx(easier.share)


@pytest.mark.parametrize(("noise_sd", "large"), [(0.1, False), (0.5, True)])
def test_above_ten_per_cent_the_evaluation_should_grow(noise_sd: float, large: bool) -> None:
    assert from_chunks(made(0.1, noise_sd)).large is large


def test_a_standard_error_by_hand() -> None:
    found = from_standard_errors([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])  # variance 1, mean square (.01 + .04 + .09) / 3
    assert found.share == pytest.approx(0.14 / 3)
    assert from_standard_errors([1.0, 2.0, 3.0], 0.5).large


def test_seeds_that_agree_leave_only_noise() -> None:
    assert from_standard_errors([1.0, 1.0], 0.1).share == math.inf
    assert from_standard_errors([1.0, 1.0], 0.0).share == 0


def test_too_few_or_not_finite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="two seeds or more"):
        from_chunks([[1.0, 2.0]])
    with pytest.raises(ValueError, match="two or more finite outcomes"):
        from_standard_errors([1.0, math.nan], 0.1)
