"""A network that delays, loses or changes answers: every run is there once, and the true numbers are judged."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from bertlab.tracking.run_folder import run_folders_in
from tests.integration.conftest import Spawn, Store
from tests.integration.faults.conftest import Behind
from tests.integration.faults.proxy import Fault, both, failing, honest, late, losing, lying

pytestmark = pytest.mark.integration

SWEEP = (
    *("-m", "bertlab.run", "-m", "data=oracle", "data.documents=60", "batch.size=4", "batch.length=35"),
    *("budget.tokens=2000", "evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
    *("tracking.weights=false", "mask.rate=0.15,0.3"),
)
RUNS = """
    select runs.status from runs join tags using (run_uuid) join experiments using (experiment_id)
    where tags.key = 'bertlab.kind' and tags.value = :kind and experiments.name = :name"""
NAMES = """
    select runs.name, runs.status from runs join experiments using (experiment_id) where experiments.name = :name"""
TWICE = """
    select metrics.key, step, count(*) from metrics join runs using (run_uuid) join experiments using (experiment_id)
    where experiments.name = :name group by run_uuid, metrics.key, step having count(*) > 1"""

FAULTS: dict[str, Fault] = {
    "late and lost": both(late, both(losing("runs/create", 2, 500), losing("runs/log-batch", 3, 500))),
    "hung up and too busy": both(losing("runs/create", 1, None), both(failing(4, 429), failing(7, 503))),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_sweep_over_a_bad_network_is_whole_in_the_store(
    name: str, plain_server: Store, behind: Behind, spawn: Spawn, tmp_path: Path
) -> None:
    experiment = name.replace(" ", "-")
    with behind(FAULTS[name]) as before:
        sweep = spawn(*SWEEP, f"tracking.uri={before.uri}", f"tracking.experiment={experiment}")
        out, error = sweep.communicate(timeout=300)
        assert sweep.returncode == 0, error
        assert "Traceback" not in error
        before.fault = honest
        sync = spawn("-m", "bertlab.sync", f"uri={before.uri}", f"experiment={experiment}")
        _, error = sync.communicate(timeout=120)
        assert sync.returncode == 0, error
    assert len(re.findall(r"^finished", out, re.MULTILINE)) == 2
    found = {kind: plain_server.rows(RUNS, kind=kind, name=experiment) for kind in ("run", "sweep")}
    assert found == {"run": [("FINISHED",)] * 2, "sweep": [("FINISHED",)]}
    assert plain_server.rows(TWICE, name=experiment) == []


def test_a_report_shows_what_was_computed_if_the_store_differs(behind: Behind, spawn: Spawn, tmp_path: Path) -> None:
    with behind(lying) as before:
        sweep = spawn(*SWEEP, f"tracking.uri={before.uri}", "tracking.experiment=lies")
        _, error = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, error
    true = Counter(str((cell.record() or {})["outcome"]) for cell in run_folders_in(tmp_path / "outputs"))
    losses = [float(loss) for outcome in true for loss in re.findall(r"mlm_loss ([0-9.]+)", outcome)]
    (report,) = tmp_path.glob("outputs/sweeps/*/report/report.md")
    text = report.read_text("utf-8")
    assert len(losses) == 2
    assert all(f"{loss:.3f}" in text for loss in losses), "the numbers of the cells"
    assert not any(f"{loss + 1:.3f}" in text for loss in losses)
    assert error.count("the store has") == 2, error


def test_lost_answers_to_creates_leave_no_twins(
    plain_server: Store, behind: Behind, spawn: Spawn, tmp_path: Path
) -> None:
    with behind(losing("runs/create", sys.maxsize, 500)) as before:
        sweep = spawn(*SWEEP, f"tracking.uri={before.uri}", "tracking.experiment=twins")
        _, error = sweep.communicate(timeout=400)
    assert sweep.returncode == 0, error
    assert before.asked["/api/2.0/mlflow/runs/create"] == 3, "each run is asked for once, and then found"
    found = plain_server.rows(NAMES, name="twins")
    assert sorted(found) == [(name, "FINISHED") for name in ("mask.rate=0.15", "mask.rate=0.15,0.3", "mask.rate=0.3")]
    (curves,) = tmp_path.glob("outputs/sweeps/*/report/report/runs.csv")
    assert len(curves.read_text("utf-8").splitlines()) == 3
