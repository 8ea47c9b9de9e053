import json
from pathlib import Path

import pytest

from bertlab.study.prior import prior_in, regime_of

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.mark.slow
def test_the_prior_of_a_folder_of_reports_is_that_of_all_contrasts_of_the_regime() -> None:
    about = json.loads((REPORTS / "mask_rate" / "study.json").read_text("utf-8"))
    stated = json.loads((REPORTS / "mask_rate" / "rule.json").read_text("utf-8"))["prior"]
    found = prior_in(REPORTS, regime_of(about["facts"]), about["study"]["outcome"])
    assert (found.variance, found.df) == pytest.approx((stated["variance"], stated["df"]), rel=1e-4)
    assert found.contrasts == stated["contrasts"]


def test_a_regime_without_reports_has_no_prior(tmp_path: Path) -> None:
    assert prior_in(tmp_path, ("corpus", "model", "budget", "adamw"), "eval/mlm_loss").df == 0
    assert prior_in(REPORTS, ("corpus", "model", "budget", "adamw"), "eval/mlm_loss").df == 0


def test_another_optimizer_is_another_regime() -> None:
    facts = {"fingerprint": "f", "model": "2 layers", "budget": "9 steps", "optimizer": "adamw, learning rate 0.002"}
    assert regime_of(facts) == regime_of(facts | {"optimizer": "adamw, learning rate 0.004"})
    assert regime_of(facts) != regime_of(facts | {"optimizer": "muon, learning rate 0.002"})
