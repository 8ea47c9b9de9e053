import json
from dataclasses import replace
from pathlib import Path

import pytest

from bertlab.study.prior import prior_in, prior_key
from bertlab.study.record import read_record
from bertlab.study.regime import Budget, ModelSize, Optimizer, Regime

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.mark.slow
def test_the_prior_of_a_folder_of_reports_is_that_of_all_contrasts_of_the_regime() -> None:
    record = read_record(REPORTS / "mask_rate")
    stated = json.loads((REPORTS / "mask_rate" / "rule.json").read_text("utf-8"))["prior"]
    found = prior_in(REPORTS, prior_key(record.facts["fingerprint"], record.regime), record.study.outcome)
    assert (found.variance, found.df) == pytest.approx((stated["variance"], stated["df"]), rel=1e-4)
    assert found.contrasts == stated["contrasts"]


def test_a_regime_without_reports_has_no_prior(tmp_path: Path) -> None:
    regime = ("corpus", ModelSize(1, 2, 1), Budget(1, 1, 1), "adamw")
    assert prior_in(tmp_path, regime, "eval/mlm_loss").df == 0
    assert prior_in(REPORTS, regime, "eval/mlm_loss").df == 0


def test_another_optimizer_is_another_regime() -> None:
    regime = Regime(model=ModelSize(2, 64, 2), budget=Budget(9, 16, 64), optimizer=Optimizer("adamw", 0.002))
    assert prior_key("f", regime) == prior_key("f", replace(regime, optimizer=Optimizer("adamw", 0.004)))
    assert prior_key("f", regime) != prior_key("f", replace(regime, optimizer=Optimizer("muon", 0.002)))
