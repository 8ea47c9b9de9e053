"""Stopped sweeps: no worker keeps running, and later commands see the true status."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bertlab.sweep.unsent import bring_unsent
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.reuse import mark_killed
from bertlab.tracking.run_folder import run_folders_in
from tests.integration.conftest import Spawn

pytestmark = pytest.mark.integration

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35"),
    *("evaluation.sequences=8", "trainer.progress=false"),
)
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1,2")
LONG = ("budget.tokens=14000000", "evaluation.share=0.001", "evaluation.pseudo=0")


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition, at most this long; return whether it is true."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


def works(pid: int) -> bool:
    """Return whether a process runs and is not a zombie."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return found.strip()[:1] not in ("", "Z")


@pytest.mark.parametrize(("stop", "code", "parent"), [(signal.SIGTERM, 143, "KILLED"), (signal.SIGKILL, -9, "RUNNING")])
def test_a_stopped_sweep_leaves_no_process_training(
    tmp_path: Path, spawn: Spawn, stop: signal.Signals, code: int, parent: str
) -> None:
    """The next command marks a sweep that was killed before it could set its status."""
    tracker, outputs = Tracker(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", experiment="bertlab"), tmp_path / "outputs"
    sweep = spawn("-m", "bertlab.run", "-m", *TINY, *LONG, *JOBLIB, f"tracking.uri={tracker.uri}")
    started = until(lambda: len(list(outputs.glob("cells/*/metrics.jsonl"))) == 2, 300)
    sweep.send_signal(stop)
    sweep.wait()
    workers = [cell.state()["pid"] for cell in run_folders_in(outputs)]
    assert (started, sweep.returncode) == (True, code)
    assert until(lambda: not any(map(works, workers)), 20)
    ended = [cell.state()["status"] for cell in run_folders_in(outputs)]
    assert len(ended) == 2, "nobody took the third run"
    assert set(ended) <= {"KILLED", "RUNNING"}, "a run that was just being opened is found dead by the next command"

    def statuses() -> dict[str, str]:
        client = tracker.connect()
        return {run.info.run_name: run.info.status for run in client.search_runs([tracker.experiment_id(client)])}

    seen = statuses()
    assert seen.pop("seed=0,1,2") == parent
    assert set(seen.values()) <= {"KILLED", "RUNNING"}, "a worker tells the store for some seconds at most"
    mark_killed(tracker, outputs)
    bring_unsent(tracker, outputs)  # of a worker that ended itself, but could not tell the store in its few seconds
    assert statuses() == dict.fromkeys(["seed=0,1,2", "seed=0", "seed=1"], "KILLED")
    assert [cell.state()["status"] for cell in run_folders_in(outputs)] == ["KILLED"] * 2
