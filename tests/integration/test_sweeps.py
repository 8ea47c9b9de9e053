"""Two sweeps of the same cells, started at the same moment from one folder: every cell is trained once."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.conftest import Store

pytestmark = pytest.mark.integration

POINTS, CELLS = 20, 4
TINY = (
    "data=oracle",
    "data.documents=200",
    "batch.size=2",
    "budget.tokens=7000",  # 100 steps
    "evaluation.sequences=4",
    f"trainer.points={POINTS}",
    "trainer.progress=false",
    "tracking.weights=false",
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


def test_two_sweeps_at_once_train_every_cell_once(
    store: Store, spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    experiment = "twins"
    words = ("-m", "bertlab.run", *TINY, *GRID, f"tracking.uri={store.uri}", f"tracking.experiment={experiment}")
    twins = [spawn(*words) for _ in range(2)]
    ends = [(process.communicate(timeout=240)[1], process.returncode) for process in twins]
    assert [error for error, code in ends if code] == []
    kinds = store.rows(KINDS, experiment=experiment)
    assert Counter(kind for _, kind, _ in kinds) == {"run": CELLS, "sweep": 2}
    assert {status for *_, status in kinds} == {"FINISHED"}
    keys = [key for (key,) in store.rows(KEYS, experiment=experiment)]
    assert len(keys) == len(set(keys)) == CELLS
    runs = {run for run, kind, _ in kinds if kind == "run"}
    steps = [(run, step) for run, step in store.rows(STEPS) if run in runs]
    assert len(steps) == len(set(steps)) == CELLS * POINTS
    one, other = (pd.read_csv(path) for path in tmp_path.glob("outputs/sweeps/*/report/runs.csv"))
    assert sorted(one["run_id"]) == sorted(other["run_id"]) == sorted(runs)


def test_typing_a_sweep_again_trains_nothing(
    sqlite: Store, spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    words = ("-m", "bertlab.run", *TINY, *GRID, f"tracking.uri={sqlite.uri}")
    for _ in range(2):
        process = spawn(*words)
        _, error = process.communicate(timeout=240)
        assert process.returncode == 0, error
    kinds = Counter(kind for _, kind, _ in sqlite.rows(KINDS, experiment="bertlab"))
    assert kinds == {"run": CELLS, "sweep": 2}
