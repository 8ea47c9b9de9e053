"""A killed worker costs a sweep at most its own run, and only if it is killed again.

If a pool loses a worker, joblib ends the others too, so a run in parallel may be restarted as well.
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from bertlab.tracking.description import RESTARTS
from bertlab.tracking.mlflow import Tracker
from tests.integration.conftest import Spawn

pytestmark = pytest.mark.integration

SEEDS = "seed=0,1,2"
LONGEST = 900.0  # seconds, on a busy machine
AGAIN = "started again, its process had gone away"
SWEEP = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=24000"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "trainer.checkpoint_seconds=0.2"),
    *(SEEDS, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
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
        (signal.SIGKILL, 2, 1, "KILLED"),
        (signal.SIGTERM, 1, 0, "FINISHED"),
    ],
    ids=["killed twice", "told to end once"],
)
def test_a_sweep_outlives_its_workers(
    tmp_path: Path, spawn: Spawn, stop: signal.Signals, times: int, code: int, status: str
) -> None:
    tracker, outputs, seen = (
        Tracker(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", experiment="bertlab"),
        tmp_path / "outputs",
        set[int](),
    )
    sweep = spawn("-m", "bertlab.run", "-m", *SWEEP, f"tracking.uri={tracker.uri}")
    end = time.monotonic() + LONGEST
    while sweep.poll() is None and time.monotonic() < end:
        if len(seen) < times and (pid := training(outputs, "seed=0", seen)):
            os.kill(pid, stop)
        time.sleep(0.05)
    assert sweep.poll() is not None, f"still at work after {LONGEST:.0f} s, {len(seen)} of {times} workers were stopped"
    out, err = sweep.communicate()
    assert (len(seen), sweep.returncode) == (times, code), err
    client = tracker.connect()
    runs = {run.info.run_name: run for run in client.search_runs([tracker.experiment_id(client)])}
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == {SEEDS: "FINISHED", "seed=0": status, "seed=1": "FINISHED", "seed=2": "FINISHED"}
    table = {line.split()[1]: line for line in out.splitlines()[:3]}
    endings = {name: line.split()[0] for name, line in table.items()}
    assert endings == {"seed=0": "failed" if code else "finished", "seed=1": "finished", "seed=2": "finished"}
    started = {name: int(run.data.tags.get(RESTARTS, 0)) for name, run in runs.items()}
    assert (started["seed=0"], started[SEEDS]) == (1, 0)
    again = {name for name in table if started[name] and statuses[name] == "FINISHED"}
    assert {
        name for name, line in table.items() if AGAIN in line
    } >= again  # and what was lost before it began to train
    (report,) = outputs.glob("sweeps/*/report/report.md")
    (words,) = [line for line in report.read_text("utf-8").splitlines() if "**Started again.**" in line] or [""]
    assert words.startswith(f"- **Started again.** {len(again)} of ") if again else not words
    assert all(name.replace("=", " ") in words for name in again)
    assert ("memory ran out" in err) == bool(code)
    assert "Traceback" not in err
