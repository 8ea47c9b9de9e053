"""One process leads a sweep; if it is gone, the next command marks the sweep as killed, here and in a store."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from bertlab.config.compose import PACKAGE
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.sweep_lock import lead_sweep, mark_killed_sweeps

LEAD = """
import sys, time
from pathlib import Path
from bertlab.tracking.sweep_lock import lead_sweep
from bertlab.tracking.mlflow import Tracker
uri, offline, folder = sys.argv[1:]
with lead_sweep(Tracker(uri=uri, experiment="led", offline=offline == "True"), Path(folder)) as tag:
    print(tag["bertlab.leader"], flush=True)
    time.sleep(600)
"""
Leader = subprocess.Popen[str]
Lead = Callable[..., tuple[Leader, str]]


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    return Tracker(uri=f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}", experiment="led")


@pytest.fixture(scope="module")
def client(tracker: Tracker) -> MlflowClient:
    return tracker.connect()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sweeps" / "now"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text('{"status": "RUNNING"}', "utf-8")
    return folder


@pytest.fixture
def lead(tracker: Tracker, client: MlflowClient, folder: Path) -> Iterator[Lead]:
    """Start a process that leads the sweep; return it and the id of the sweep's run in the store."""
    started = list[Leader]()

    def lead(*, offline: bool = False) -> tuple[Leader, str]:
        command = [sys.executable, "-c", LEAD, tracker.uri, str(offline), str(folder)]
        leader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent)
        started.append(leader)
        assert leader.stdout is not None
        return leader, tracker.start(client, "sweep", {"bertlab.leader": leader.stdout.readline().strip()})

    yield lead
    for leader in started:
        leader.kill()
        leader.communicate()


def test_a_sweep_is_marked_once_its_process_is_gone(
    tracker: Tracker, client: MlflowClient, folder: Path, tmp_path: Path, lead: Lead
) -> None:
    leader, run_id = lead()
    mark_killed_sweeps(tracker, tmp_path)
    assert client.get_run(run_id).info.status == "RUNNING", "it is led"
    leader.kill()
    leader.wait()
    other = Tracker(uri=tracker.uri, experiment="other")
    for away in (other, Tracker(uri=tracker.uri, experiment="led", offline=True)):
        mark_killed_sweeps(away, tmp_path)
        assert client.get_run(run_id).info.status == "RUNNING", "a command with another store leaves this one alone"
    mark_killed_sweeps(tracker, tmp_path)
    assert client.get_run(run_id).info.status == "KILLED"
    assert json.loads((folder / "sweep.json").read_text("utf-8"))["status"] == "KILLED"
    assert [path.name for path in folder.iterdir()] == ["sweep.json"]


def test_a_sweep_without_a_store_is_marked_in_its_folder(
    tracker: Tracker, folder: Path, tmp_path: Path, lead: Lead
) -> None:
    leader, _ = lead(offline=True)
    leader.kill()
    leader.wait()
    mark_killed_sweeps(tracker, tmp_path)
    about = json.loads((folder / "sweep.json").read_text("utf-8"))
    assert about["status"] == "KILLED"
    assert about["ended"] > 0
    assert [path.name for path in folder.iterdir()] == ["sweep.json"]


def test_who_leads_does_not_bury_itself_and_leaves_nothing(tracker: Tracker, folder: Path, tmp_path: Path) -> None:
    with lead_sweep(tracker, folder):
        mark_killed_sweeps(tracker, tmp_path)
        assert json.loads((folder / "sweep.json").read_text("utf-8"))["status"] == "RUNNING"
        assert {path.name for path in folder.iterdir()} == {"leading", "sweep.json"}
    assert [path.name for path in folder.iterdir()] == ["sweep.json"]
