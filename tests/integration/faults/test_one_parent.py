"""One sweep is one run in the store, even if it was killed often, or started elsewhere at the same time."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.tracking.description import KIND, PARENT
from tests.experiment.test_run_study import LOOKS
from tests.experiment.test_run_study import TINY as STUDY
from tests.integration.conftest import Spawn
from tests.integration.test_stopped import until

pytestmark = pytest.mark.integration

SWEEP = (
    *("-m", "bertlab.run", "-m", "data=oracle", "data.documents=60", "batch.size=4", "batch.length=35"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "trainer.checkpoint_seconds=0"),
    *("budget.tokens=20000", "seed=0,1,2", "model.layers=1", "model.width=16", "model.heads=1", "model.inner=16"),
)


def runs(client: MlflowClient, kind: str) -> list[Run]:
    experiment = client.get_experiment_by_name("bertlab")
    return list(client.search_runs([experiment.experiment_id], f"tags.`{KIND}` = '{kind}'")) if experiment else []


def leases(client: MlflowClient) -> list[str]:
    return [key for key in client.get_experiment_by_name("bertlab").tags if key.startswith("bertlab.lease")]


def test_a_sweep_that_is_killed_again_and_again_has_one_parent_and_all_its_runs(tmp_path: Path, spawn: Spawn) -> None:
    client = MlflowClient(uri := f"sqlite:///{tmp_path / 'mlflow.db'}")
    for done in range(2):  # each time while it trains another of its runs

        def trains(done: int = done) -> bool:
            finished = len([*tmp_path.glob("outputs/cells/*/record.json")])
            return finished >= done and any(tmp_path.glob("outputs/cells/*/checkpoint-*"))

        sweep = spawn(*SWEEP, f"tracking.uri={uri}")
        assert until(trains, 120)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
    sweep = spawn(*SWEEP, f"tracking.uri={uri}")
    _, err = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, err
    (parent,) = runs(client, "sweep")
    assert parent.info.status == "FINISHED"
    found = runs(client, "run")
    assert sorted(run.info.run_name for run in found) == ["seed=0", "seed=1", "seed=2"]
    assert {(run.data.tags[PARENT], run.info.status) for run in found} == {(parent.info.run_id, "FINISHED")}
    assert leases(client) == []


@pytest.mark.parametrize(
    ("kind", "words", "made"), [("sweep", SWEEP, 3), ("study", ("-m", "bertlab.run", *STUDY, *LOOKS), None)]
)
def test_what_is_typed_in_two_folders_at_once_is_trained_once(
    kind: str, words: tuple[str, ...], made: int | None, tmp_path: Path, spawn: Spawn
) -> None:
    client = MlflowClient(uri := f"sqlite:///{tmp_path / 'mlflow.db'}")
    sweeps = [spawn(*words, f"tracking.uri={uri}", f"output_dir={name}") for name in ("one", "two")]
    ended = [sweep.communicate(timeout=500) for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], ended
    (parent,) = runs(client, kind)
    found = runs(client, "run")
    keys = Counter(run.data.tags["bertlab.key"] for run in found)
    assert set(keys.values()) == {1}
    assert made in (None, len(found))
    assert {(run.data.tags[PARENT], run.info.status) for run in found} == {(parent.info.run_id, "FINISHED")}
    assert parent.info.status == "FINISHED"
    assert sum("leads this already" in err for _, err in ended) == 1
    for name in ("one", "two"):
        assert [*(tmp_path / name).glob("**/report.md"), *(tmp_path / name).glob("reports/padding.md")]
