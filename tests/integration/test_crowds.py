"""Many processes on one store: no error, no number is lost or there twice."""

from pathlib import Path

import pytest

from tests.integration.conftest import Server, Spawn, Store
from tests.integration.worker import points

WORKER = Path(__file__).with_name("worker.py")

RUNS = """
    select runs.name, runs.status from runs join experiments using (experiment_id)
    where experiments.name = :experiment order by runs.name"""
POINTS = """
    select runs.name, metrics.key, metrics.step, metrics.value
    from metrics join runs using (run_uuid) join experiments using (experiment_id)
    where experiments.name = :experiment"""
LAST = """
    select count(*) from latest_metrics join runs using (run_uuid) join experiments using (experiment_id)
    where experiments.name = :experiment"""


def assert_a_crowd_is_counted(store: Store, spawn: Spawn, workers: int, runs: int) -> None:
    """Let workers open runs at the same moment, and compare the store's tables with what they logged."""
    experiment = f"{workers} workers x {runs} runs"
    crowd = spawn(WORKER, store.uri, experiment, workers, runs)
    _, error = crowd.communicate(timeout=500)
    assert crowd.returncode == 0, error
    assert "locked" not in error
    names = sorted(f"{worker} {run}" for worker in range(workers) for run in range(runs))
    assert store.rows(RUNS, experiment=experiment) == [(name, "FINISHED") for name in names]
    logged = sorted((name, *point) for name in names for point in points(name))
    assert sorted(store.rows(POINTS, experiment=experiment)) == logged
    assert store.rows(LAST, experiment=experiment) == [(len({(name, key) for name, key, *_ in logged}),)]


@pytest.mark.integration
def test_a_crowd_on_a_new_sqlite_file_loses_nothing_and_doubles_nothing(sqlite: Store, spawn: Spawn) -> None:
    assert_a_crowd_is_counted(sqlite, spawn, 8, 8)


@pytest.mark.integration
def test_a_crowd_on_a_server_with_postgresql_loses_nothing_and_doubles_nothing(server: Server, spawn: Spawn) -> None:
    assert_a_crowd_is_counted(server, spawn, 8, 8)
