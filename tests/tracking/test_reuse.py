"""Finished runs are not repeated, from any place; dead runs are marked; offline runs are uploaded once."""

from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.commands.clean import clean
from bertlab.commands.sync import sync
from bertlab.config.errors import InputError
from bertlab.tracking import reuse
from bertlab.tracking import run_log as room
from bertlab.tracking.description import Description, Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.reuse import finished_runs, mark_killed, reused
from bertlab.tracking.run_folder import KILLED, RECORD, RUNNING, RunFolder, run_folder_of
from bertlab.tracking.runs_table import search
from bertlab.tracking.upload import RunUpload
from tests.tracking.conftest import Make


def own(key: str = "abc", code: str = "code", environment: str = "here") -> Identity:
    return Identity(key, code, environment)


def offline(tracker: Tracker, **fields: object) -> Tracker:
    return Tracker(uri=tracker.uri, experiment=tracker.experiment, offline=True, **fields)  # type: ignore[arg-type]


def runs(client: MlflowClient, tracker: Tracker) -> list[Run]:
    return list(client.search_runs([tracker.experiment_id(client)]))


def losses(client: MlflowClient, run: Run) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "eval/mlm_loss")]


def test_a_run_that_is_finished_in_the_store_is_reused(
    tracker: Tracker, client: MlflowClient, make: Make, tmp_path: Path
) -> None:
    make(tracker)
    (run,) = runs(client, tracker)
    for place in (tmp_path / "outputs", tmp_path / "another disk"):
        found = reused(tracker, place, own())
        assert found
        assert (found.run_id, found.status, found.metrics["eval/mlm_loss"]) == (run.info.run_id, "finished", 0.5)
        assert (found.reused, found.folder is None) == (True, place.name == "another disk")
    assert reused(tracker, tmp_path / "outputs", own("other")) is None


def test_what_only_the_disk_has_is_brought_to_the_store(tracker: Tracker, client: MlflowClient, make: Make) -> None:
    cell = make(offline(tracker))
    assert runs(client, tracker) == []
    found = finished_runs(tracker, cell.folder.parents[1], [own(), own("other")])
    (run,) = runs(client, tracker)
    assert {key: run.info.run_id for key, run in found.items()} == {"abc": run.info.run_id}
    assert (run.info.status, losses(client, run)) == ("FINISHED", [(1, 1.0), (2, 0.5)])
    assert run.data.tags["bertlab.note"] == "seen"


@pytest.mark.parametrize("few", [0, 200])
def test_many_runs_are_found_as_few_are(
    tracker: Tracker, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(reuse, "FEW", few)
    keys = ("abc", "abd", "abe")
    made = {key: make(tracker, key).state()["run_id"] for key in keys}
    make(tracker, "other")
    make(tracker, "older", code="older")
    for place in (tmp_path / "outputs", tmp_path / "another disk"):
        found = finished_runs(tracker, place, [*map(own, keys), own("older"), own("nowhere")])
        assert {key: run.info.run_id for key, run in found.items()} == made


def test_what_the_disk_knows_to_be_in_this_store_is_one_question(
    tracker: Tracker, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("abc", "abd", "abe")
    made = {key: make(tracker, key).state()["run_id"] for key in keys}
    asked: list[str] = []

    def noted(client: MlflowClient, experiment: str, wanted: str) -> list[Run]:
        asked.append(wanted)
        return search(client, experiment, wanted)

    monkeypatch.setattr(reuse, "search", noted)
    found = finished_runs(tracker, tmp_path / "outputs", [*map(own, keys)])
    assert {key: run.info.run_id for key, run in found.items()} == made
    assert len(asked) == 1


def test_of_several_runs_of_a_key_this_code_comes_first_and_then_the_oldest(
    tracker: Tracker, make: Make, tmp_path: Path
) -> None:
    wide = Tracker(uri=tracker.uri, experiment=tracker.experiment, reuse="any")
    make(tracker, code="older")
    oldest = make(tracker).state()["run_id"]
    (tmp_path / "outputs").rename(tmp_path / "moved")
    make(tracker)
    make(tracker, code="newer")
    found = finished_runs(wide, tmp_path / "another disk", [own()])
    assert found["abc"].info.run_id == oldest


def test_a_record_that_was_tampered_with_is_not_reused(tracker: Tracker, make: Make) -> None:
    cell = make(offline(tracker))
    assert reused(offline(tracker), cell.folder.parents[1], own())
    (cell.folder / RECORD).write_text((cell.folder / RECORD).read_text("utf-8").replace("abc", "abd"), "utf-8")
    assert reused(offline(tracker), cell.folder.parents[1], own()) is None


def test_a_run_of_other_code_is_reused_only_on_request_with_a_note(
    tracker: Tracker, client: MlflowClient, make: Make
) -> None:
    output_dir = make(tracker, code="older").folder.parents[1]
    assert reused(tracker, output_dir, own()) is None
    (run,) = runs(client, tracker)
    wide = Tracker(uri=tracker.uri, experiment=tracker.experiment, reuse="any")
    for one in (wide, offline(tracker, reuse="any")):
        found = reused(one, output_dir, own())
        assert found
        assert (found.run_id, found.other_code, found.other_environment) == (run.info.run_id, "older", "")


def test_a_run_of_another_environment_is_reused_only_on_request_with_a_note(
    tracker: Tracker, client: MlflowClient, make: Make, tmp_path: Path
) -> None:
    output_dir = make(tracker, environment="torch 2, 2 threads").folder.parents[1]
    (run,) = runs(client, tracker)
    for place in (output_dir, tmp_path / "another disk"):
        assert reused(tracker, place, own()) is None
        for rule in ("code", "any"):
            wide = Tracker(uri=tracker.uri, experiment=tracker.experiment, reuse=rule)
            found = reused(wide, place, own())
            assert found
            assert (found.run_id, found.other_environment) == (run.info.run_id, "torch 2, 2 threads")
        assert (
            reused(Tracker(uri=tracker.uri, experiment=tracker.experiment, reuse="code"), place, own(code="x")) is None
        )


def test_a_run_of_this_environment_comes_before_one_of_another(tracker: Tracker, make: Make, tmp_path: Path) -> None:
    wide = Tracker(uri=tracker.uri, experiment=tracker.experiment, reuse="any")
    for code, environment in (("older", "here"), ("code", "there")):
        make(tracker, code=code, environment=environment)
        for place in (tmp_path / "outputs", tmp_path / "another disk"):
            found = finished_runs(wide, place, [own()])["abc"].data.tags
            assert (found["bertlab.code"], found["bertlab.environment"]) == (code, environment)
    nearest = make(tracker).state()["run_id"]
    for place in (tmp_path / "outputs", tmp_path / "another disk"):
        assert finished_runs(wide, place, [own()])["abc"].info.run_id == nearest


def test_a_run_whose_process_is_gone_is_killed_and_goes_on_as_the_same_run(
    tracker: Tracker, client: MlflowClient, description: Description, output_dir: Path
) -> None:
    cell = run_folder_of(output_dir, "abc", "code")
    with pytest.raises(KeyboardInterrupt), cell.held(), tracker.run(description, cell) as run:
        run.log(1, {"eval/mlm_loss": 1.0})
        raise KeyboardInterrupt
    client.update_run(run.run_id, status=RUNNING)
    RunFolder(cell.folder).note(status=RUNNING)
    assert [gone.folder for gone in mark_killed(tracker, output_dir)] == [cell.folder]
    assert client.get_run(run.run_id).info.status == RunFolder(cell.folder).state()["status"] == KILLED
    assert mark_killed(tracker, output_dir) == []
    with cell.held(), tracker.run(description, RunFolder(cell.folder)) as again:
        assert again.run_id == run.run_id
        assert client.get_run(run.run_id).info.status == RUNNING
        again.log(1, {"eval/mlm_loss": 7.0})
        again.log(2, {"eval/mlm_loss": 0.5})
    (found,) = runs(client, tracker)
    assert (found.info.status, losses(client, found)) == ("FINISHED", [(1, 1.0), (2, 0.5)])


def test_the_look_for_the_dead_opens_no_cell_that_has_ended(
    tracker: Tracker, make: Make, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        make(offline(tracker), f"{number}")
    dead = run_folder_of(output_dir, "dead", "code")
    with dead.held():
        dead.begin(description={})
    looked: list[str] = []
    real = RunFolder.vanished

    def noted(cell: RunFolder) -> bool:
        looked.append(cell.key)
        return real(cell)

    monkeypatch.setattr(RunFolder, "vanished", noted)
    assert [cell.key for cell in mark_killed(offline(tracker), output_dir)] == ["dead"]
    assert set(looked) == {"dead"}
    assert mark_killed(offline(tracker), output_dir) == []
    assert list((output_dir / "running").iterdir()) == []


def test_markers_of_cells_that_are_gone_or_have_ended_are_removed(
    tracker: Tracker, make: Make, output_dir: Path
) -> None:
    cell = make(offline(tracker))
    for name in (cell.folder.name, "gone-code"):
        (output_dir / "running" / name).touch()
    assert mark_killed(offline(tracker), output_dir) == []
    assert list((output_dir / "running").iterdir()) == []
    assert not (output_dir / "cells" / "gone-code").exists()


def test_a_run_that_trains_now_is_not_taken_for_dead(
    tracker: Tracker, description: Description, output_dir: Path
) -> None:
    import threading

    cell = run_folder_of(output_dir, "abc", "code")
    with cell.held():
        cell.begin(description={})
        found: list[list[RunFolder]] = []
        thread = threading.Thread(target=lambda: found.append(mark_killed(offline(tracker), output_dir)))
        thread.start()
        thread.join()
    assert found == [[]]


def test_runs_that_were_offline_arrive_once_however_often_they_are_synced(
    tracker: Tracker, client: MlflowClient, make: Make
) -> None:
    cells = [make(offline(tracker), "abc", weights=b"weights"), make(offline(tracker), "abd")]
    words = {"from": str(cells[0].folder.parents[1]), "uri": tracker.uri, "experiment": None}
    for _ in range(2):
        assert sync(words).startswith("2 runs and 0 sweeps of ")
        found = runs(client, tracker)
        assert [(run.info.status, losses(client, run)) for run in found] == [("FINISHED", [(1, 1.0), (2, 0.5)])] * 2
    (run,) = (run for run in found if run.data.tags["bertlab.key"] == "abc")
    assert run.info.start_time == cells[0].state()["started"]
    assert run.data.params == {"mask.rate": "0.3", "seed": "0"}
    assert run.inputs is not None
    assert len(run.inputs.dataset_inputs) == 1
    paths = {path.path for path in client.list_artifacts(run.info.run_id)}
    assert paths == {"config.yaml", "curves.feather", "origin.json"}
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert (model.source_run_id, model.status) == (run.info.run_id, "READY")


def test_a_store_that_goes_away_during_a_run_gets_the_rest_by_sync(
    tracker: Tracker,
    client: MlflowClient,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object) -> None:
        raise ConnectionError("the server went away")

    monkeypatch.setattr(room, "PATIENCE", dict.fromkeys(room.PATIENCE, 0.2))
    with monkeypatch.context() as patch:
        patch.setattr(RunUpload, "send", away)
        cell = make(tracker)
    assert "bertlab sync from=" in caplog.text
    assert cell.record() is not None
    (run,) = runs(client, tracker)
    assert (run.info.status, losses(client, run)) == ("RUNNING", [])
    sync({"from": str(cell.folder.parents[1]), "uri": tracker.uri, "experiment": None})
    (run,) = runs(client, tracker)
    assert (run.info.status, losses(client, run)) == ("FINISHED", [(1, 1.0), (2, 0.5)])


def test_a_folder_without_runs_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^from must be the output_dir of some runs, got .* without any; name another"
    ):
        sync({"from": str(tmp_path), "uri": None, "experiment": None})


def test_cleaning_shows_sizes_and_removes_what_no_run_needs(
    tracker: Tracker, make: Make, description: Description, output_dir: Path
) -> None:
    done = make(offline(tracker))
    (done.folder / "checkpoint-1.safetensors").write_bytes(b"x" * 200_000)
    open_ = run_folder_of(output_dir, "open", "code")
    with pytest.raises(KeyboardInterrupt), open_.held(), offline(tracker).run(description, open_):
        (open_.folder / "checkpoint-1.safetensors").write_bytes(b"x" * 300_000)
        raise KeyboardInterrupt
    lines = list(clean({"from": str(output_dir), "all": "false"}))
    assert lines == [
        f"    0.2 MB  {done.folder}  removed",
        f"    0.3 MB  {open_.folder}  kept: the run can continue from them",
        "    0.2 MB  freed",
    ]
    assert list(clean({"from": str(output_dir), "all": "true"}))[-1] == "    0.3 MB  freed"
    assert not list(output_dir.rglob("checkpoint-*"))
    with pytest.raises(InputError, match=r"^all must be true or false, got yes"):
        list(clean({"from": str(output_dir), "all": "yes"}))


@pytest.mark.parametrize(("key", "value"), [("offline", "yes"), ("reuse", "never")])
def test_settings_that_are_not_known_are_refused(key: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"^{key} must be .* got {value}; choose one"):
        Tracker(uri=None, experiment="bertlab", **{key: value})  # type: ignore[arg-type]
