"""Files are authoritative: where a store differs, this is logged, and corrected by sync."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.commands.sync import sync
from bertlab.config.errors import InputError
from bertlab.tracking import differences, run_log, saved_model
from bertlab.tracking.artifacts import find_model
from bertlab.tracking.description import FILES, LEFT, Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.reuse import finished_runs
from bertlab.tracking.run_folder import POINTS, RunFolder
from bertlab.tracking.runs_table import read_runs_table, search
from bertlab.tracking.saved_model import fetch
from tests.tracking.conftest import Make

LOSS = "eval/mlm_loss"
CHANGES = {
    "the last value": "update latest_metrics set value = value + 1 where run_uuid = :run",
    "all values": "update metrics set value = value * 2 where run_uuid = :run",
    "both": "update metrics set value = 3; update latest_metrics set value = 3",
    "a lost value": "delete from latest_metrics where run_uuid = :run and key = 'eval/mlm_loss'",
    "a tag": "update tags set value = 'other' where run_uuid = :run and key = 'bertlab.note'",
    "a parameter": "update params set value = '0.9' where run_uuid = :run and key = 'mask.rate'",
    "a later step": "update latest_metrics set step = 9, value = 9 where run_uuid = :run",
    "a time to come": "update latest_metrics set timestamp = 99999999999999, value = 9 where run_uuid = :run",
}


OWN = Identity("abc", "code", "here")


def change(uri: str, run: Run, statements: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
        for statement in statements.split(";"):
            own = statement if ":run" in statement else f"{statement} where run_uuid = :run"
            assert database.execute(own, {"run": run.info.run_id}).rowcount


def only(client: MlflowClient, tracker: Tracker) -> Run:
    (run,) = search(client, tracker.experiment, "")
    return run


def state_of(client: MlflowClient, run: Run) -> tuple[object, ...]:
    data = run.data
    history = {point.step: point.value for point in client.get_metric_history(run.info.run_id, LOSS)}  # the last one
    return run.info.status, data.metrics, history, data.params, data.tags["bertlab.note"]


@pytest.mark.parametrize("what", CHANGES)
def test_the_files_count_if_a_store_differs_and_sync_corrects_it(
    what: str, tracker: Tracker, client: MlflowClient, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    cell = make(tracker)
    output_dir = cell.folder.parents[1]
    run = only(client, tracker)
    before, expected = state_of(client, run), read_runs_table(client, [run], output_dir)
    assert not expected.differences
    change(tracker.uri, run, CHANGES[what])
    if what not in ("all values",):  # no table is made of those
        found = read_runs_table(client, [only(client, tracker)], output_dir)
        assert found.runs.drop(columns="run_id").equals(expected.runs.drop(columns="run_id")[found.runs.columns[1:]])
        assert found.curves.equals(expected.curves)
        assert [said.startswith(f"run {run.info.run_id}: the store has ") for said in caplog.messages] == [True]
    words = {"from": str(output_dir), "uri": tracker.uri, "experiment": None}
    sync(words)
    corrected = only(client, tracker)
    assert state_of(client, corrected) == before
    again = what in ("a parameter", "a later step", "a time to come")
    assert (corrected.info.run_id != run.info.run_id) == again, "a new run only if the old one cannot be corrected"
    caplog.clear()
    sync(words)
    assert caplog.messages == []
    assert only(client, tracker).info.run_id == corrected.info.run_id
    assert list(finished_runs(tracker, output_dir, [OWN])) == ["abc"]


def test_a_run_that_is_replaced_keeps_its_weights_its_parent_and_its_sweeps(
    tracker: Tracker, client: MlflowClient, make: Make
) -> None:
    tracker.parent = tracker.start(client, "a sweep", {})
    cell = make(tracker, weights=b"weights")
    (run,) = search(client, tracker.experiment, "tags.`bertlab.kind` = 'run'")
    client.set_tag(run.info.run_id, "bertlab.also.x", "{}")
    assert not (cell.folder / "model").exists(), "the store has them"
    change(tracker.uri, run, CHANGES["a parameter"])
    sync({"from": str(cell.folder.parents[1]), "uri": tracker.uri, "experiment": None})
    (new,) = search(client, tracker.experiment, "tags.`bertlab.kind` = 'run'")
    assert new.info.run_id != run.info.run_id
    assert (new.data.tags["mlflow.parentRunId"], new.data.tags["bertlab.also.x"]) == (tracker.parent, "{}")
    assert [path.name for path in stored_weights(client, new)] == ["model.safetensors"]
    assert find_model(client, run) is None, "the model of the run that was replaced is gone with it"
    old = client.get_run(run.info.run_id)
    assert (old.info.lifecycle_stage, old.data.tags["bertlab.kind"]) == ("deleted", "replaced")


def test_without_its_cell_a_run_is_judged_by_the_curves_that_it_left(
    tracker: Tracker, client: MlflowClient, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tracker)
    run = only(client, tracker)
    change(tracker.uri, run, CHANGES["the last value"])
    found = read_runs_table(client, [only(client, tracker)], tmp_path / "elsewhere")
    assert found.runs[f"metrics.{LOSS}"].tolist() == [0.5]
    assert "the store has eval/mlm_loss 1.5 instead of 0.5" in caplog.text
    client.delete_tag(run.info.run_id, LEFT)
    assert read_runs_table(client, [only(client, tracker)], None).runs[f"metrics.{LOSS}"].tolist() == [1.5], (
        "nothing else is known"
    )


def test_a_cell_with_a_line_behind_its_seal_is_not_believed(tracker: Tracker, client: MlflowClient, make: Make) -> None:
    cell = make(tracker)
    with (cell.folder / POINTS).open("a") as file:
        file.write('{"step": 3, "time": 9, "numbers": {"eval/mlm_loss": 0.1}}\n')
    output_dir = cell.folder.parents[1]
    assert read_runs_table(client, [only(client, tracker)], output_dir).runs[f"metrics.{LOSS}"].tolist() == [0.5]
    assert finished_runs(tracker, output_dir, [OWN]) == {}, "it is made anew"


def test_of_many_runs_that_differ_the_first_have_a_line_each(
    tracker: Tracker,
    client: MlflowClient,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(differences, "LINES", 2)
    first, *_ = [make(tracker, key) for key in ("abc", "abd", "abe")]
    output_dir = first.folder.parents[1]
    for run in search(client, tracker.experiment, ""):
        change(tracker.uri, run, CHANGES["the last value"])
    for _ in range(2):
        read_runs_table(client, search(client, tracker.experiment, ""), output_dir)
    assert len(caplog.messages) == 3
    assert caplog.messages[-1] == "1 more runs differ in the store from their files"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "PATIENCE", dict.fromkeys(run_log.PATIENCE, 2.0))


def test_weights_that_a_store_took_otherwise_stay_here_until_it_has_them(
    tracker: Tracker,
    client: MlflowClient,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    quick: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = saved_model.upload_weights

    def damaged(client: MlflowClient, model_id: str | None, run_id: str, folder: Path) -> None:
        real(client, model_id, run_id, folder)
        for path in stored_weights(client, client.get_run(run_id)):
            path.write_bytes(b"WEIGHTS")

    with monkeypatch.context() as patch:
        patch.setattr(saved_model, "upload_weights", damaged)
        cell = make(tracker, weights=b"weights")
    assert (cell.folder / "model" / "model.safetensors").read_bytes() == b"weights"
    assert "the store has other weights" in caplog.text
    sync({"from": str(cell.folder.parents[1]), "uri": tracker.uri, "experiment": None})
    (path,) = stored_weights(client, only(client, tracker))
    assert path.read_bytes() == b"weights"


def stored_weights(client: MlflowClient, run: Run) -> list[Path]:
    model = find_model(client, run)
    return list(Path(model.artifact_location.removeprefix("file://")).glob("model.safetensors")) if model else []


@pytest.mark.parametrize("name", ["model/model.safetensors", "config.yaml"])
def test_files_of_a_store_that_are_not_those_that_the_run_left_are_not_exported(
    name: str, tracker: Tracker, client: MlflowClient, make: Make, tmp_path: Path
) -> None:
    make(tracker, weights=b"weights")
    run = only(client, tracker)
    fetch(client, run.info.run_id, tmp_path / "good")
    (weights,) = stored_weights(client, run)
    own = Path(run.info.artifact_uri.removeprefix("file://"))
    path = weights if name.startswith("model/") else own / name
    path.write_bytes(path.read_bytes().upper())
    with pytest.raises(InputError, match=rf"must have the files that it left, got another {name} in the store"):
        fetch(client, run.info.run_id, tmp_path / "bad")


def test_a_run_without_hashes_of_its_files_is_exported_with_a_warning(
    tracker: Tracker, client: MlflowClient, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tracker, weights=b"weights")
    run_id = only(client, tracker).info.run_id
    client.delete_tag(run_id, FILES)
    fetch(client, run_id, tmp_path)
    assert caplog.messages == [f"run {run_id} has no hashes of its files; they are not checked"]


def test_sync_leaves_out_what_is_damaged_and_says_so(
    tracker: Tracker, client: MlflowClient, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    cells = [make(Tracker(uri=tracker.uri, experiment=tracker.experiment, offline=True), key) for key in ("abc", "abd")]
    (cells[0].folder / "run.json").write_bytes(b"[" * 100_000)
    told = sync({"from": str(cells[0].folder.parents[1]), "uri": tracker.uri, "experiment": None})
    assert told.startswith("1 runs and 0 sweeps of ")
    assert ", 1 that train now or are damaged left out\n" in told
    assert caplog.messages == [f"{cells[0].folder} is left out, its run.json is damaged; its command makes it again"]
    assert isinstance(cells[0], RunFolder)
    assert len(search(client, tracker.experiment, "")) == 1
