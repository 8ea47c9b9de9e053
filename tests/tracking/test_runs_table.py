"""The run table: recorded values are returned, and a missing thing gives one line."""

import math
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pandas as pd
import pytest
from mlflow.entities import Metric, Run
from mlflow.tracking import MlflowClient

from bertlab.config.errors import InputError
from bertlab.tracking import runs_table
from bertlab.tracking.description import ALSO, KIND, LEFT, OPENED, PARENT, Description
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import children, find_sweep, once
from bertlab.tracking.run_folder import POINTS, RECORD, STATE, run_folder_of
from bertlab.tracking.runs_table import CURVES_FILE, read_runs_table, runs_frame, search


def recorded_sweep(tracker: Tracker, client: MlflowClient, description: Description, name: str, jobs: int) -> str:
    """Record a sweep of some jobs; job i has loss i + 1 / step at the steps 10 and 20."""
    parent = tracker.start(client, name, {KIND: "sweep"})
    for number in range(jobs):
        child = Tracker(uri=tracker.uri, experiment=tracker.experiment, parent=parent)
        tags = {**description.tags, "bertlab.key": str(number)}
        own = Description(f"{name} {number}", {"seed": str(number)}, tags, "", description.data)
        with child.run(own) as log:
            for step in (10, 20):
                log.log(step, {"perf/tokens": step * 100.0, "train/loss": number + 1 / step})
            log.log(20, {"eval/mlm_loss": 7.0 + number})
    client.set_terminated(parent, "FINISHED")
    return parent


def test_the_latest_sweep_is_found_or_the_latest_of_a_name(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    first = recorded_sweep(tracker, client, description, "mask.rate=0.1,0.2", 0)
    second = recorded_sweep(tracker, client, description, "mask.rate=0.1,0.2", 0)
    third = recorded_sweep(tracker, client, description, 'it\'s "seed"=0,1', 0)
    assert find_sweep(client, tracker.experiment, None).info.run_id == third
    assert find_sweep(client, tracker.experiment, "mask.rate=0.1,0.2").info.run_id == second != first
    assert find_sweep(client, tracker.experiment, 'it\'s "seed"=0,1').info.run_id == third


def test_the_latest_sweep_is_the_one_that_was_typed_last(tracker: Tracker, client: MlflowClient) -> None:
    first, _ = (tracker.start(client, name, {KIND: "sweep"}) for name in ("first", "second"))
    client.set_tag(first, OPENED, str(client.get_run(first).info.start_time + 3_600_000))
    assert find_sweep(client, tracker.experiment, None).info.run_id == first


def test_twins_are_one_run_in_every_table(tracker: Tracker, client: MlflowClient) -> None:
    """Of one key the run that finished counts, of these the newest."""
    parent = tracker.start(client, "sweep", {KIND: "sweep"})
    made = [
        *(("0", "own", "RUNNING"), ("0", "own", "FINISHED"), ("0", "own", "KILLED")),
        *(("1", "own", "FINISHED"), ("1", "other", "FINISHED")),
        *(("2", "old", "FINISHED"), ("2", "older", "FAILED"), ("3", "own", "FAILED")),
    ]
    ids = []
    for key, code, status in made:
        tags = {KIND: "run", PARENT: parent, "bertlab.key": key, "bertlab.code": code}
        ids.append(tracker.start(client, key, tags))
        if status != "RUNNING":
            client.set_terminated(ids[-1], status)
    client.set_tag(ids[1], f"{ALSO}{parent}", '{"mlflow.runName": "seen", "bertlab.baseline": "true"}')
    found = children(client, client.get_run(parent))
    assert {run.info.run_id for run in found} == {ids[1], ids[4], ids[5], ids[7]}
    assert [
        len(once(search(client, tracker.experiment, f"tags.`{KIND}` = '{kind}'"))) for kind in ("run", "sweep")
    ] == [4, 1]


def test_a_sweep_that_is_not_there_is_an_input_error(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    with pytest.raises(
        InputError, match=r"tracking\.experiment must exist in the store, got '.*'; run something first"
    ):
        find_sweep(client, tracker.experiment, None)
    with tracker.run(description):
        pass
    with pytest.raises(InputError, match=r"sweep=latest must be a sweep of experiment .*, found none; run one with"):
        find_sweep(client, tracker.experiment, None)
    recorded_sweep(tracker, client, description, "seed=0,1", 0)
    with pytest.raises(InputError, match=r"sweep=seed=0,2 must be a sweep of experiment"):
        find_sweep(client, tracker.experiment, "seed=0,2")


def test_children_are_those_of_the_sweep_oldest_first(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    recorded_sweep(tracker, client, description, "other", 1)
    parent = client.get_run(recorded_sweep(tracker, client, description, "mine", 3))
    assert [run.info.run_name for run in children(client, parent)] == ["mine 0", "mine 1", "mine 2"]


def test_a_filter_selects_runs(tracker: Tracker, client: MlflowClient, description: Description) -> None:
    recorded_sweep(tracker, client, description, "mine", 3)
    found = search(client, tracker.experiment, "params.seed = '1'")
    assert [run.info.run_name for run in found] == ["mine 1"]
    assert search(client, tracker.experiment, "params.seed = '9'") == []


@pytest.mark.parametrize("wanted", ["params.seed ~ 1", "seed", "nonsense.seed = '1'"])
def test_a_filter_that_mlflow_does_not_know_is_an_input_error(
    tracker: Tracker, client: MlflowClient, description: Description, wanted: str
) -> None:
    with tracker.run(description):
        pass
    with pytest.raises(InputError, match=r"filter must be an MLflow filter, got ") as caught:
        search(client, tracker.experiment, wanted)
    assert "\n" not in str(caught.value)


def test_runs_have_one_row_each_named_as_mlflow_names_it(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    parent = client.get_run(recorded_sweep(tracker, client, description, "mine", 2))
    frame = runs_frame(children(client, parent))
    assert frame["name"].tolist() == ["mine 0", "mine 1"]
    assert frame["status"].tolist() == ["FINISHED", "FINISHED"]
    assert frame["params.seed"].tolist() == ["0", "1"]
    assert frame["tags.bertlab.key"].tolist() == ["0", "1"]
    assert frame["metrics.eval/mlm_loss"].tolist() == [7.0, 8.0]
    assert frame["metrics.train/loss"].tolist() == [0.05, 1.05]
    tags = {column for column in frame if column.startswith("tags.")}
    assert {"tags.bertlab.key", "tags.bertlab.kind"} <= tags
    assert all(tag.startswith("tags.bertlab.") for tag in tags), "MLflow's own are no columns"


def test_curves_have_every_point_with_the_tokens_seen(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    parent = client.get_run(recorded_sweep(tracker, client, description, "mine", 1))
    runs = children(client, parent)
    frame = curves_frame(client, runs)
    assert list(frame) == ["run_id", "metric", "step", "tokens", "value"]
    assert sorted(frame.drop(columns="run_id").itertuples(index=False, name=None)) == [
        ("eval/mlm_loss", 20, 2000.0, 7.0),
        ("train/loss", 10, 1000.0, 0.1),
        ("train/loss", 20, 2000.0, 0.05),
    ]
    assert set(frame["run_id"]) == {runs[0].info.run_id}


def test_a_point_without_tokens_is_kept_without_them(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    with tracker.run(description) as log:
        log.log(3, {"train/loss": 1.0})
    frame = curves_frame(client, search(client, tracker.experiment, ""))
    assert frame["value"].tolist() == [1.0]
    assert math.isnan(frame["tokens"].astype(float).iloc[0])


def test_no_runs_make_an_empty_table(client: MlflowClient) -> None:
    assert runs_frame([]).empty
    assert list(curves_frame(client, [])) == ["run_id", "metric", "step", "tokens", "value"]


@pytest.fixture
def finished(tracker: Tracker, client: MlflowClient, description: Description, tmp_path: Path) -> Run:
    """A run that finished in `tmp_path`, the folder of its cell."""
    cell = run_folder_of(tmp_path, "abc", "code")
    own = replace(description, tags={"bertlab.key": "abc", "bertlab.code": "code"})
    with cell.held(), tracker.run(own, cell) as log:
        for step in (10, 20):
            log.log(step, {"perf/tokens": step * 100.0, "train/loss": 1 / step, "train/lr": math.inf})
        log.log(20, {"eval/mlm_loss": math.nan})
        log.log(30, {"eval/mlm_loss": 1 / 3})
        log.finish("eval/mlm_loss 0.333", diverged=False)
    (run,) = search(client, tracker.experiment, "")
    return run


@pytest.fixture
def older(client: MlflowClient, finished: Run) -> Run:
    """The same run, as if from before runs had files of curves."""
    client.delete_tag(finished.info.run_id, LEFT)
    return client.get_run(finished.info.run_id)


def curves_frame(client: MlflowClient, runs: list[Run], output_dir: Path | None = None) -> pd.DataFrame:
    return read_runs_table(client, runs, output_dir).curves


def sorted_curves(client: MlflowClient, run: Run, output_dir: Path | None) -> pd.DataFrame:
    frame = curves_frame(client, [run], output_dir).sort_values(["metric", "step"], ignore_index=True)
    frame.loc[frame["value"] > 1e300, "value"] = math.inf  # as a store keeps it
    return frame


def never(*_: object) -> None:
    raise AssertionError("the store was asked")


def test_a_finished_run_has_the_same_curves_in_its_file_in_its_cell_and_in_the_store(
    client: MlflowClient, finished: Run, older: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = sorted_curves(client, older, None)
    assert len(stored) == 6
    monkeypatch.setattr(client, "get_metric_history", never)
    pd.testing.assert_frame_equal(sorted_curves(client, finished, None), stored, check_exact=True)
    pd.testing.assert_frame_equal(sorted_curves(client, older, tmp_path), stored, check_exact=True)
    with pytest.raises(AssertionError, match="the store was asked"):
        curves_frame(client, [older], tmp_path / "elsewhere")


@pytest.mark.parametrize("lost", [RECORD, STATE, POINTS])
def test_a_cell_that_is_not_whole_is_not_trusted_with_curves(
    client: MlflowClient, older: Run, tmp_path: Path, lost: str
) -> None:
    stored = sorted_curves(client, older, None)
    path = run_folder_of(tmp_path, "abc", "code").folder / lost
    path.write_text(path.read_text("utf-8").replace("0", "1"), "utf-8")
    pd.testing.assert_frame_equal(sorted_curves(client, older, tmp_path), stored, check_exact=True)


@pytest.mark.parametrize(("content", "fault"), [(None, "No such artifact"), (b"ARROW", "it is not what the run left")])
def test_a_file_of_curves_that_is_gone_or_damaged_is_named_and_the_store_asked(
    client: MlflowClient, finished: Run, content: bytes | None, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = sorted_curves(client, finished, None)
    assert caplog.text == ""
    path = Path(finished.info.artifact_uri.removeprefix("file://")) / CURVES_FILE
    path.unlink() if content is None else path.write_bytes(content)
    pd.testing.assert_frame_equal(sorted_curves(client, finished, None), whole, check_exact=True)
    (said,) = caplog.messages
    assert said.startswith(
        f"{CURVES_FILE} of run {finished.info.run_id} cannot be read, its points are asked for instead: "
    )
    assert fault in said


def test_only_a_run_that_is_over_leaves_its_curves(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    with pytest.raises(KeyboardInterrupt), tracker.run(description) as log:
        log.log(10, {"perf/tokens": 1000.0, "train/loss": 0.5})
        raise KeyboardInterrupt
    (run,) = search(client, tracker.experiment, "")
    assert LEFT not in run.data.tags
    assert CURVES_FILE not in {found.path for found in client.list_artifacts(run.info.run_id)}
    assert curves_frame(client, [run])["value"].tolist() == [0.5]


def test_a_file_that_is_served_is_not_fetched_where_the_cell_is(
    client: MlflowClient, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = sorted_curves(client, finished, None)
    monkeypatch.setattr(MlflowClient, "tracking_uri", "http://server")
    pd.testing.assert_frame_equal(sorted_curves(client, finished, None), here, check_exact=True)
    monkeypatch.setattr(runs_table, "curves_left", never)
    pd.testing.assert_frame_equal(sorted_curves(client, finished, tmp_path), here, check_exact=True)


def test_a_server_is_asked_for_several_runs_at_once_and_their_order_stays(
    tracker: Tracker, client: MlflowClient, description: Description, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs wait for each other: with one request after the other, the first would wait forever."""
    recorded_sweep(tracker, client, description, "mine", 2)
    for run in search(client, tracker.experiment, "tags.`bertlab.kind` = 'run'"):
        client.delete_tag(run.info.run_id, LEFT)  # as older runs have it: their curves are in the store alone
    runs = search(client, tracker.experiment, "tags.`bertlab.kind` = 'run'")
    alone = curves_frame(client, runs)
    meeting = Barrier(2)
    history = client.get_metric_history

    def met(run_id: str, key: str) -> list[Metric]:
        if key == "perf/tokens":
            meeting.wait(timeout=10)
        return list(history(run_id, key))

    monkeypatch.setattr(client, "get_metric_history", met)
    monkeypatch.setattr(MlflowClient, "tracking_uri", "http://server")
    pd.testing.assert_frame_equal(curves_frame(client, runs), alone)
