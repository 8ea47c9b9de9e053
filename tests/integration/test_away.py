"""A server that is stopped in the middle of a run: no step waits for it, and every point arrives once."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import Server

pytestmark = pytest.mark.integration

POINTS, STEPS = 200, 2000
Spawn = Callable[..., subprocess.Popen[str]]
WORDS = (
    *("-m", "bertlab.run", "data=oracle", "data.documents=60", "batch.size=2", f"budget.tokens={STEPS * 2 * 35}"),
    *("evaluation.sequences=4", "evaluation.pseudo=0", f"trainer.points={POINTS}", "trainer.progress=false"),
    *("model.layers=1", "model.width=16", "model.heads=1", "model.inner=16", "tracking.weights=false"),
)
RUN = """
    select run_uuid, status from runs join tags using (run_uuid) join experiments using (experiment_id)
    where tags.key = 'bertlab.kind' and tags.value = :kind and experiments.name = :experiment"""
LOSSES = "select step, timestamp from metrics where run_uuid = :run and key = 'train/loss' order by step"
TWICE = "select key, step from metrics where run_uuid = :run group by key, step having count(*) > 1"
PARENT = "select value from tags where run_uuid = :run and key = 'mlflow.parentRunId'"


def start(server: Server, spawn: Spawn, experiment: str, *words: str) -> subprocess.Popen[str]:
    """Start a run and return once it trains."""
    process = spawn(*WORDS, f"tracking.uri={server.uri}", f"tracking.experiment={experiment}", *words)
    deadline = time.monotonic() + 120
    while not server.rows(RUN, experiment=experiment, kind="run"):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the run does not begin"
        time.sleep(0.2)
    time.sleep(1)
    return process


def arrived(server: Server, experiment: str) -> tuple[str, list[tuple[Any, ...]]]:
    """Return the run, which is finished, and its points, each of which must be there once."""
    ((run, status),) = server.rows(RUN, experiment=experiment, kind="run")
    assert status == "FINISHED"
    assert server.rows(TWICE, run=run) == []
    losses = server.rows(LOSSES, run=run)
    assert [step for step, _ in losses] == list(range(STEPS // POINTS, STEPS + 1, STEPS // POINTS))
    return run, losses


def test_a_server_that_is_away_for_a_while_costs_no_point_and_no_time(server: Server, spawn: Spawn) -> None:
    process = start(server, spawn, "away")
    server.stop()
    left = time.time()
    try:
        time.sleep(2)
        assert process.poll() is None, "the run must be long enough to notice"
        back = time.time()
    finally:
        server.start()
    _, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    _, losses = arrived(server, "away")
    assert any(left < milliseconds / 1000 < back for _, milliseconds in losses), "training waited for the server"


def test_what_a_sweep_could_not_send_at_its_end_is_brought_by_sync_twice_without_harm(
    server: Server, spawn: Spawn
) -> None:
    process = start(server, spawn, "gone", "-m", "mask.rate=0.15")
    server.stop()
    try:
        out, error = process.communicate(timeout=240)
    finally:
        server.start()
    assert process.returncode == 0, error
    assert out.startswith("finished")
    (parent,) = (line for line in error.splitlines() if "parent run" in line)
    assert parent.endswith("is back, type python -m bertlab.sync from=outputs")
    assert "Traceback" not in error
    for _ in range(2):
        sync = spawn("-m", "bertlab.sync", f"uri={server.uri}")
        _, error = sync.communicate(timeout=120)
        assert sync.returncode == 0, error
        run, _ = arrived(server, "gone")
        ((sweep, status),) = server.rows(RUN, experiment="gone", kind="sweep")
        assert status == "FINISHED"
        assert server.rows(PARENT, run=run) == [(sweep,)]
        assert len(list(server.folder.rglob(f"{sweep}/artifacts/report/report.md"))) == 1
