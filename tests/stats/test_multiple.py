"""Holm and Benjamini-Hochberg against statsmodels and by hand."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bertlab.stats.multiple import holm, q_values


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.012, 0.03]).tolist() == pytest.approx([0.06, 0.036, 0.06])  # .012 * 3, .03 * 2, then .06 again


def test_one_claim_alone_is_not_corrected() -> None:
    assert holm([0.03]).tolist() == [0.03]


@pytest.mark.parametrize("seed", range(2))
def test_statsmodels_adjusts_alike(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.1, (3, 6))
    assert holm(p) == pytest.approx(np.array([multipletests(own, method="holm")[1] for own in p]))
    assert q_values(p[0]) == pytest.approx(multipletests(p[0], method="fdr_bh")[1])


def test_q_values_by_hand() -> None:
    assert q_values([0.01, 0.02, 0.9]).tolist() == pytest.approx([0.03, 0.03, 0.9])  # .01 * 3, .02 * 3 / 2


@pytest.mark.parametrize("adjust", [holm, q_values])
@pytest.mark.parametrize("p", [[], [0.1, np.nan], [1.2]])
def test_what_is_no_family_of_p_is_refused(adjust: object, p: list[float]) -> None:
    assert callable(adjust)
    with pytest.raises(ValueError, match=r"p-values in \[0, 1\]"):
        adjust(p)
