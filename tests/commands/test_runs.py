"""`bertlab runs`: which runs are listed, with what, and what remains after removing one."""

from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

import bertlab
from bertlab.commands.runs import runs
from bertlab.config.errors import InputError

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "model.layers=1", "model.width=16"),
    *("model.heads=1", "model.inner=16", "tracking.weights=false"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """Two runs in a store and one offline, in one folder."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        own = [bertlab.run([*TINY, "mask.rate=0.3", f"seed={seed}"]) for seed in (0, 1)]
        return folder, [*own, bertlab.run([*TINY, "mask=span", "tracking.offline=true"])]


@pytest.fixture(autouse=True)
def _there(made: tuple[Path, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made[0])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def listed(*words: str) -> list[str]:
    _, *lines, last = runs(words)
    assert last.startswith(f"{len(lines)} of ")
    return [line.split()[0] for line in lines]


def test_runs_are_found_by_what_they_are(made: tuple[Path, list[Any]]) -> None:
    first, second, offline = (result.run_id[:12] for result in made[1])
    assert listed() == [first, second, offline]
    assert listed("mask.rate=.30") == [first, second], "numbers are compared as numbers"
    assert listed("mask.rate=0.3", "seed=1") == [second]
    assert listed("mask=span") == [offline]
    assert listed("status=finished", f"run={first[:6]}") == [first]
    assert listed("status=failed") == listed("study=mask_rate") == []
    line = list(runs([f"run={first}"]))[1]
    assert f"{made[1][0].metrics['eval/mlm_loss']:.4f}" in line


def test_a_key_that_no_run_has_is_named() -> None:
    with pytest.raises(InputError, match=r"^mask\.rte is not a key of these runs; did you mean mask\.rate\?"):
        listed("mask.rte=0.3")


def test_what_is_removed_is_gone_from_the_disk_and_in_the_trash_of_the_store(made: tuple[Path, list[Any]]) -> None:
    first, second, offline = made[1]
    client = MlflowClient("sqlite:///mlflow.db")
    with second_held(second):
        assert "kept: it trains" in next(runs([f"run={second.run_id}", "remove=true"]))
    assert list(runs(["seed=1", "remove=true"]))[-1] == "1 of 3 runs of outputs"
    assert not second.folder.exists()
    assert client.get_run(second.run_id).info.lifecycle_stage == "deleted"
    list(runs(["mask=span", "remove=true"]))
    assert not offline.folder.exists()
    assert listed() == [first.run_id[:12]]
    assert client.get_run(first.run_id).info.lifecycle_stage == "active"


def second_held(result: Any) -> Any:
    """Hold the lock of a run's cell as another process would."""
    from filelock import FileLock

    return FileLock(result.folder / "lock", is_singleton=False)
