"""Scores on tasks of one's own stand in a report with the error of a run's score."""

import pandas as pd

from bertlab.report.run_table import RunTable, canonical
from bertlab.report.settings import sweep_of
from bertlab.report.tasks import tasks

BASIC = {"status": "FINISHED", "metrics.eval/mlm_loss": 5.0}
OWN = "metrics.eval/tasks.own.accuracy"


def section(*runs: dict[str, object]) -> str:
    named = [{"run_id": str(place), "name": "run", **BASIC, **run} for place, run in enumerate(runs)]
    curves = pd.DataFrame(columns=["run_id", "metric", "step", "tokens", "value"])
    facts = {"title": "a sweep", "command": "python", "factors": "lr"}
    return tasks(sweep_of(canonical(RunTable(pd.DataFrame(named), curves, facts))))


def test_a_score_has_the_error_over_items_and_seeds() -> None:
    scores = {OWN: 0.7, f"{OWN}.se_items": 0.03, f"{OWN}.se_seeds": 0.04, f"{OWN}.seed_0": 0.7}
    text = section(
        {"params.lr": "1", "params.seed": "0", **scores},
        {"params.lr": "1", "params.seed": "1", **scores, OWN: 0.8},
        {"params.lr": "2", "params.seed": "0", OWN: 0.5, f"{OWN}.se_items": 0.01},
    )
    assert "| task | metric | lr=1 | lr=2 |" in text
    assert "| own | accuracy | 0.750 ± 0.050 | 0.500 ± 0.010 |" in text
    assert text.count("\n| own") == 1, "neither errors nor single seeds have a row"


def test_there_is_no_section_without_tasks() -> None:
    assert section({"params.lr": "1", "params.seed": "0"}, {"params.lr": "2", "params.seed": "0"}) == ""
