"""Offline, MLflow is not imported, and the sweep has its report; later everything is uploaded to a store, once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from bertlab.commands.sync import sync
from bertlab.config.compose import PACKAGE
from bertlab.tracking.parent_runs import children, find_sweep

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "model.layers=1", "model.width=16"),
    *("model.heads=1", "model.inner=16", "tracking.offline=true", "mask.rate=0.15,0.3"),
)
PROGRAM = """
import sys
from bertlab.commands.run import main
main(sys.argv[1:])
print("imported:", sorted(name for name in sys.modules if name.partition(".")[0] == "mlflow"))
"""


@pytest.mark.slow
def test_a_sweep_without_a_store_reports_and_arrives_later(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "-m", *TINY],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    *_, report, where, imported = ended.stdout.splitlines()
    assert imported == "imported: []"
    assert where == "offline:   bertlab sync from=outputs brings the runs into a store"
    page = tmp_path / report.removeprefix("report:").strip()
    assert "mask.rate" in page.read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for _ in range(2):
        sync({"from": str(tmp_path / "outputs"), "uri": uri, "experiment": None})
        client = MlflowClient(uri)
        sweep = find_sweep(client, "bertlab", None)
        runs = children(client, sweep)
        assert [(run.info.run_name, run.info.status) for run in runs] == [
            ("mask.rate=0.15", "FINISHED"),
            ("mask.rate=0.3", "FINISHED"),
        ]
        assert (sweep.info.run_name, sweep.info.status) == ("mask.rate=0.15,0.3", "FINISHED")
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        assert len(client.search_runs(ids)) == 3
    for run in runs:
        (model,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
        files = {path.path for path in client.list_logged_model_artifacts(model.model_id)}
        assert (files, str(model.status)) == ({"model.safetensors", "tokenizer.json"}, "READY")
        assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 5
    assert {path.path for path in client.list_artifacts(sweep.info.run_id, "report")} >= {"report/report.md"}
