"""The weights of a finished run are one logged model of MLflow, or artifacts if a server has no logged models."""

from pathlib import Path

import pytest
from mlflow.entities import LoggedModel, Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND
from mlflow.tracking import MlflowClient

from bertlab.commands.sync import sync
from bertlab.tracking import run_log, saved_model
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.run_folder import RunFolder
from bertlab.tracking.runs_table import search
from bertlab.tracking.saved_model import fetch
from tests.tracking.conftest import Make


def synced(tracker: Tracker, cell: RunFolder) -> None:
    sync({"from": str(cell.folder.parents[1]), "uri": tracker.uri, "experiment": None})


def only(client: MlflowClient, tracker: Tracker) -> tuple[Run, list[LoggedModel]]:
    (run,) = search(client, tracker.experiment, "tags.`bertlab.kind` = 'run'")
    return client.get_run(run.info.run_id), client.search_logged_models([run.info.experiment_id])


def test_a_finished_run_is_one_model_with_its_weights_its_parameters_and_its_last_measures(
    tracker: Tracker, client: MlflowClient, make: Make, tmp_path: Path
) -> None:
    cell = make(tracker, weights=b"weights")
    for _ in range(2):
        synced(tracker, cell)
        run, (model,) = only(client, tracker)
        assert (model.name, str(model.status), model.source_run_id) == ("model", "READY", run.info.run_id)
        assert model.params == {"mask.rate": "0.3", "seed": "0"}
        assert [(own.key, own.value, own.step) for own in model.metrics or []] == [("eval/mlm_loss", 0.5, 2)]
        assert f"bertlab export run={run.info.run_id}" in model.tags["mlflow.note.content"]
        assert [own.model_id for own in run.outputs.model_outputs] == [model.model_id]
        assert len(client.get_metric_history(run.info.run_id, "eval/mlm_loss")) == 2, "the link is no new point"
        (cell.folder / "model").mkdir(exist_ok=True)  # as if it had never arrived
        (cell.folder / "model" / "model.safetensors").write_bytes(b"weights")
        (cell.folder / "unsent").touch()
    fetch(client, run.info.run_id, tmp_path / "again")
    assert (tmp_path / "again" / "model" / "model.safetensors").read_bytes() == b"weights"
    assert not (Path(run.info.artifact_uri.removeprefix("file://")) / "model").exists(), "the store has them once"


def test_a_model_whose_weights_did_not_arrive_is_completed_and_has_no_twin(
    tracker: Tracker, client: MlflowClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "PATIENCE", dict.fromkeys(run_log.PATIENCE, 1.5))

    def away(*_: object) -> None:
        raise ConnectionError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(saved_model, "upload_weights", away)
        cell = make(tracker, weights=b"weights")
    run, (model,) = only(client, tracker)
    assert (str(model.status), str(run.info.status)) == ("PENDING", "RUNNING")
    synced(tracker, cell)
    run, (model,) = only(client, tracker)
    assert (str(model.status), str(run.info.status)) == ("READY", "FINISHED")


def test_a_server_without_logged_models_has_the_weights_as_artifacts_of_the_run(
    tracker: Tracker, client: MlflowClient, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise MlflowException("404 Not Found", error_code=ENDPOINT_NOT_FOUND)

    for name in ("search_logged_models", "create_logged_model", "finalize_logged_model"):
        monkeypatch.setattr(MlflowClient, name, unknown)
    cell = make(tracker, weights=b"weights")
    (run,) = search(client, tracker.experiment, "")
    assert run.info.status == "FINISHED"
    assert not (cell.folder / "model").exists()
    fetch(client, run.info.run_id, tmp_path)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == b"weights"
