"""A worker that is killed costs a sweep its own run at most, and only when it is killed again."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from bertlab.tracking.mlflow import Tracker

pytestmark = pytest.mark.integration

SWEEP = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=60000"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "trainer.checkpoint_seconds=1"),
    *("seed=0,1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
)


def training(outputs: Path, name: str, seen: set[int]) -> int | None:
    """Return the process that trains a run and has logged something, once for each."""
    for path in outputs.glob("cells/*/run.json"):
        state = json.loads(path.read_text("utf-8"))
        own = state["status"] == "RUNNING" and state["description"]["name"] == name and state["pid"] not in seen
        if own and list(path.parent.glob("checkpoint-*")):
            seen.add(state["pid"])
            return int(state["pid"])
    return None


@pytest.mark.parametrize(
    ("stop", "times", "code", "status"),
    [
        (signal.SIGKILL, 1, 0, "FINISHED"),
        (signal.SIGKILL, 2, 1, "KILLED"),
        (signal.SIGTERM, 1, 0, "FINISHED"),
    ],
)
def test_a_sweep_outlives_its_workers(
    tmp_path: Path, spawn: Callable[..., Popen[str]], stop: signal.Signals, times: int, code: int, status: str
) -> None:
    tracker, outputs, seen = (
        Tracker(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", experiment="bertlab"),
        tmp_path / "outputs",
        set[int](),
    )
    sweep = spawn("-m", "bertlab.run", "-m", *SWEEP, f"tracking.uri={tracker.uri}")
    end = time.monotonic() + 400
    while sweep.poll() is None and time.monotonic() < end:
        if len(seen) < times and (pid := training(outputs, "seed=0", seen)):
            os.kill(pid, stop)
        time.sleep(0.05)
    out, err = sweep.communicate(timeout=10)
    assert (len(seen), sweep.returncode) == (times, code), err
    client = tracker.connect()
    runs: dict[str, Any] = {run.info.run_name: run for run in client.search_runs([tracker.experiment_id(client)])}
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {"seed=0,1,2": "FINISHED", "seed=0": status, "seed=1": "FINISHED", "seed=2": "FINISHED"}
    (report,) = outputs.glob("sweeps/*/report/report.md")
    again = "**Started again.** 1 of 3 finished runs lost the process that trained it" in report.read_text("utf-8")
    assert again == (not code)
    assert ("started again, its process had gone away" in out.splitlines()[0]) == again
    words = [line.split()[:2] for line in out.splitlines()[:3]]
    assert words == [["failed" if code else "finished", "seed=0"], ["finished", "seed=1"], ["finished", "seed=2"]]
    assert ("memory ran out" in err) == bool(code)
    assert "Traceback" not in err
