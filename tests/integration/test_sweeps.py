"""Two sweeps of the same cells, started at the same time from one folder: every cell is trained once."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import Store

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


def end(*sweeps: subprocess.Popen[str]) -> None:
    """Wait for the ends of sweeps, which must succeed."""
    for sweep in sweeps:
        _, error = sweep.communicate(timeout=500)
        assert sweep.returncode == 0, error


def test_two_sweeps_at_once_train_every_cell_once_and_a_third_one_none(
    store: Store, spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
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
