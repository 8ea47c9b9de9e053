"""Kaplan-Meier by hand and against statsmodels."""

import math

import numpy as np
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from bertlab.stats.curves import Reached
from bertlab.stats.survival import survival


def test_a_censored_run_counts_until_its_last_evaluation() -> None:
    found = survival(Reached((200.0, 400.0, math.inf, 300.0), 3.0, 800.0))
    assert dict(zip(found.tokens, found.share, strict=True)) == pytest.approx(
        {200: 0.75, 300: 0.5, 400: 0.25, 800: 0.25}
    )
    assert (found.median, found.n, found.censored) == (300, 4, 1)


def test_the_median_is_not_observed_if_fewer_than_half_arrive() -> None:
    assert survival(Reached((200.0, math.inf, math.inf), 3.0, 800.0)).median == math.inf
    assert survival(Reached((math.inf,) * 3, 3.0, 800.0)).share == (1.0,)


def test_without_censoring_it_is_the_share_still_on_the_way() -> None:
    found = survival(Reached((100.0, 300.0, 200.0, 200.0), 3.0, 800.0))
    assert (found.tokens, found.share) == ((100, 200, 300), pytest.approx((0.75, 0.25, 0)))
    assert found.median == 200


@pytest.mark.parametrize("seed", range(4))
def test_statsmodels_estimates_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = np.where(rng.uniform(size=9) < 0.3, np.inf, rng.integers(1, 8, 9) * 100.0)
    found = survival(Reached(tuple(tokens), 3.0, 800.0))
    theirs = SurvfuncRight(np.minimum(tokens, 800.0), np.isfinite(tokens))
    ours = dict(zip(found.tokens, found.share, strict=True))
    assert [ours[time] for time in theirs.surv_times] == pytest.approx(list(theirs.surv_prob))


def test_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        survival(Reached((), 3.0, 800.0))
