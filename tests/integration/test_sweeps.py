"""Sweeps on both kinds of store: of two at once every cell is trained once; the store has all curves."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from bertlab.tracking import runs_table
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.runs_table import read_runs_table
from tests.integration.conftest import Server, Spawn, Store
from tests.integration.warm import Program

pytestmark = pytest.mark.integration

POINTS, CELLS = 10, 4
TINY = (
    *("-m", "bertlab.run", "data=oracle", "data.documents=60", "batch.size=4", "budget.tokens=2800"),  # 20 steps
    *("evaluation.sequences=4", "evaluation.pseudo=0", f"trainer.points={POINTS}", "trainer.progress=false"),
    *("model.layers=1", "model.width=16", "model.heads=1", "model.inner=16", "tracking.weights=false"),
)
GRID = ("-m", "mask.rate=0.15,0.3", "seed=0,1")
KINDS = """
    select run_uuid, tags.value, status from runs join tags using (run_uuid) join experiments using (experiment_id)
    where tags.key = 'bertlab.kind' and experiments.name = :experiment"""
KEYS = """
    select tags.value from tags join runs using (run_uuid) join experiments using (experiment_id)
    where tags.key = 'bertlab.key' and experiments.name = :experiment"""
STEPS = "select run_uuid, step from metrics where key = 'train/loss'"


@pytest.fixture(params=["sqlite", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both kinds of store."""
    found: Store = request.getfixturevalue(request.param)
    return found


def end(*sweeps: Program) -> None:
    """Wait for the ends of sweeps, which must succeed."""
    for sweep in sweeps:
        _, error = sweep.communicate(timeout=500)
        assert sweep.returncode == 0, error


def test_two_sweeps_at_once_train_every_cell_once_and_a_third_one_none(
    store: Store, spawn: Spawn, tmp_path: Path
) -> None:
    words = (*TINY, *GRID, f"tracking.uri={store.uri}", "tracking.experiment=twins")
    for typed, started in ((2, 2), (3, 1)):
        end(*[spawn(*words) for _ in range(started)])
        kinds = store.rows(KINDS, experiment="twins")
        assert Counter(kind for _, kind, _ in kinds) == {"run": CELLS, "sweep": 1}, (
            "one sweep, however often it is typed"
        )
        assert {status for *_, status in kinds} == {"FINISHED"}
        keys = [key for (key,) in store.rows(KEYS, experiment="twins")]
        assert len(keys) == len(set(keys)) == CELLS
        runs = {run for run, kind, _ in kinds if kind == "run"}
        steps = [(run, step) for run, step in store.rows(STEPS) if run in runs]
        assert len(steps) == len(set(steps)) == CELLS * POINTS
        tables = [pd.read_csv(path) for path in tmp_path.glob("outputs/sweeps/*/report/report/runs.csv")]
        assert [sorted(table["run_id"]) for table in tables] == [sorted(runs)] * typed


def test_the_file_at_the_server_is_the_cell_and_the_history(
    server: Server, spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(spawn(*TINY, "-m", "seed=0,1", f"tracking.uri={server.uri}", "tracking.experiment=curves"))
    tracker = Tracker(uri=server.uri, experiment="curves")
    client = tracker.connect()
    found = client.search_runs([tracker.experiment_id(client)], "tags.`bertlab.kind` = 'run'")
    runs = sorted(found, key=lambda run: str(run.info.run_name))
    assert len(runs) == 2
    there = read_runs_table(client, runs, tmp_path / "outputs").curves
    assert len(there)
    with monkeypatch.context() as patch:
        patch.setattr(runs_table, "curves_stored", lambda *_: pytest.fail("the file is not read"))
        pd.testing.assert_frame_equal(read_runs_table(client, runs, None).curves, there)
    monkeypatch.setattr(runs_table, "curves_left", lambda *_: None)
    history = read_runs_table(client, runs, None).curves.sort_values(["run_id", "metric", "step"], ignore_index=True)
    expected = there.sort_values(["run_id", "metric", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(history, expected)
