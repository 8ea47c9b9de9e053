"""One parent run for one sweep: found again, reopened, with its runs below it."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from bertlab.tracking.description import KIND, PARENT, SWEEP_KEY, Description
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import open_parent, take_over
from bertlab.tracking.run_folder import run_folder_of

TAGS = {KIND: "sweep", SWEEP_KEY: "0123"}


def test_a_sweep_that_is_typed_again_is_the_same_run_open_again(
    tracker: Tracker, client: MlflowClient, tmp_path: Path
) -> None:
    first = open_parent(tracker, client, "seed=0,1", {**TAGS, "bertlab.command": "before"}, str(tmp_path))
    client.set_terminated(first, "KILLED")
    again = open_parent(tracker, client, "seed=0,1", {**TAGS, "bertlab.command": "after"}, str(tmp_path))
    other = open_parent(tracker, client, "seed=0,1", {**TAGS, SWEEP_KEY: "4567"}, str(tmp_path))
    assert again == first != other
    run = client.get_run(first)
    assert (run.info.status, run.data.tags["bertlab.command"]) == ("RUNNING", "after")


def test_runs_that_a_dead_leader_left_in_another_folder_are_killed_and_those_that_live_here_are_not(
    tracker: Tracker, client: MlflowClient, description: Description, tmp_path: Path
) -> None:
    tracker.parent = open_parent(tracker, client, "seed=0,1", TAGS, str(tmp_path))
    lost = tracker.start(client, "lost", {KIND: "run", "bertlab.key": "k", "bertlab.code": "c"})
    done = tracker.start(client, "done", {KIND: "run"})
    client.set_terminated(done, "FINISHED")
    about = Description("here", {}, {"bertlab.key": "key", "bertlab.code": "code"}, "", description.data)
    parent, tracker.parent = tracker.parent, tracker.parent
    with (
        run_folder_of(tmp_path, "key", "code").held(),
        tracker.run(about, run_folder_of(tmp_path, "key", "code")) as here,
    ):
        tracker.parent = None
        assert open_parent(tracker, client, "seed=0,1", TAGS, str(tmp_path)) == parent
        found = {run: client.get_run(run).info.status for run in (lost, done, here.run_id)}
        assert found == {lost: "KILLED", done: "FINISHED", here.run_id: "RUNNING"}


@pytest.mark.parametrize(("status", "moves"), [("KILLED", True), ("FINISHED", False), ("RUNNING", False)])
def test_runs_below_a_parent_that_was_killed_go_to_the_one_that_goes_on(
    tracker: Tracker, client: MlflowClient, status: str, moves: bool
) -> None:
    before, after = (tracker.start(client, name, {KIND: "sweep"}) for name in ("before", "after"))
    tracker.parent = before
    ids = [tracker.start(client, str(number), {KIND: "run"}) for number in range(2)]
    tracker.parent = None
    ids.append(tracker.start(client, "alone", {KIND: "run"}))
    if status != "RUNNING":
        client.set_terminated(before, status)
    take_over(client, after, [client.get_run(run) for run in ids])
    found = [client.get_run(run).data.tags.get(PARENT) for run in ids]
    assert found == [*([after if moves else before] * 2), None]
