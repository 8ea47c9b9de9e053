"""A run on two devices, here two processes, equals the run on one, even after a kill."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from bertlab.tracking.description import RESTARTS
from bertlab.tracking.run_folder import RECORD, run_folders_in
from tests.command import settled
from tests.integration.conftest import Spawn
from tests.integration.test_stopped import until, works
from tests.integration.warm import Program

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

TINY = (
    *(
        "data=oracle",
        "data.documents=60",
        "batch.size=5",
        "batch.length=35",
        "budget.tokens=8750",
        "trainer.points=50",
    ),  # 50 steps
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
    *("model.layers=1", "model.width=16", "model.heads=1", "model.inner=16"),
)
LONG = (
    "budget.tokens=140000",
    "trainer.checkpoint_seconds=0.001",
    "trainer.points=500",
    "evaluation.share=0.001",
    "tracking.offline=true",
)
Command = Callable[..., tuple[Any, str, str]]
ENDED = 10.0  # seconds until a process without its killed leader has ended, even on a busy machine


def curve(cell: Any, name: str) -> list[float]:
    lines = (cell.folder / "metrics.jsonl").read_text("utf-8").splitlines()
    numbers = [json.loads(line)["numbers"] for line in lines]
    return [each[name] for each in numbers if name in each]


def in_order(folder: str) -> list[Any]:
    return sorted(run_folders_in(folder), key=lambda cell: cell.state()["started"])


def test_50_steps_on_two_devices_are_those_on_one_and_one_of_them_records(command: Command) -> None:
    for words in ([], ["trainer.devices=2"]):
        code, _, errors = command(*TINY, *words, "tracking.uri=sqlite:///runs.db")
        assert code == 0, errors
    one, two = in_order("outputs")
    assert one.key == two.key, "devices are no setting that can change a result"
    for name in ("train/loss", "train/mlm_loss", "train/pair_loss", "eval/mlm_loss", "eval/pair_loss"):
        assert curve(two, name) == pytest.approx(curve(one, name), rel=2e-4)
    assert len(curve(two, "train/loss")) == 50
    assert curve(two, "perf/predicted_tokens") == curve(one, "perf/predicted_tokens")
    runs = MlflowClient("sqlite:///runs.db").search_runs(["1"])
    assert {run.data.tags["bertlab.environment"].count("2 devices") for run in runs} == {0, 1}
    assert [run.info.status for run in runs] == ["FINISHED"] * 2


def test_two_devices_do_what_one_does_in_two_parts_dropout_included(command: Command) -> None:
    for words in ("trainer.devices=2", "trainer.accumulate=2"):
        code, _, errors = command(*TINY, words, "model.dropout=0.1", "tracking.offline=true")
        assert code == 0, errors
    two, one = in_order("outputs")
    assert two.code == one.code
    assert curve(two, "train/loss") == pytest.approx(curve(one, "train/loss"), rel=2e-4)


def test_a_sweep_with_workers_runs_jobs_on_several_devices(command: Command) -> None:
    words = ("seed=0,1", "trainer.devices=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "budget.tokens=700")
    code, out, errors = command("-m", *TINY, "tracking.offline=true", *words)
    assert code == 0, errors
    assert out.count("finished") == 2


@pytest.fixture
def started(tmp_path: Path, spawn: Spawn) -> Program:
    """A long run on two devices that has a checkpoint."""
    run = spawn("-m", "bertlab.run", *settled([*TINY, *LONG]), "trainer.devices=2")
    # a busy machine starts two processes slowly
    assert until(lambda: bool(list(tmp_path.glob("outputs/cells/*/checkpoint-*"))), 500)
    return run


def followers(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


def test_a_process_that_is_killed_ends_the_run_with_one_line(started: Program) -> None:
    (other,) = followers(started.pid)
    os.kill(other, signal.SIGKILL)
    _, errors = started.communicate(timeout=500)
    lines = [line for line in errors.splitlines() if line.startswith("bertlab: ")]
    assert started.returncode == 2, errors
    assert lines == [
        "bertlab: trainer.devices=2: the process of device 1 was killed by SIGKILL, as where memory runs out; type the "
        "same command again, which goes on from the last checkpoint, or lower batch.size"
    ]
    assert "Traceback" not in errors


def test_a_run_whose_leader_is_killed_leaves_no_process_and_resumes_from_its_checkpoint(
    started: Program, command: Command, tmp_path: Path
) -> None:
    (other,) = followers(started.pid)
    started.kill()
    assert until(lambda: not works(other), ENDED)
    (cell,) = run_folders_in(tmp_path / "outputs")
    step = int(max(cell.folder.glob("checkpoint-*")).stem.removeprefix("checkpoint-"))
    code, _, errors = command(*TINY, *LONG, "trainer.devices=2", "trainer.checkpoint_seconds=60")
    assert code == 0, errors
    assert f"goes on after step {step:,}" in errors
    assert (cell.folder / RECORD).is_file(), "the same cell, on the same devices"
    assert cell.state()["tags"][RESTARTS] == "1"


def test_an_interrupted_run_goes_on_with_another_number_of_devices(
    started: Program, command: Command, tmp_path: Path
) -> None:
    (other,) = followers(started.pid)
    os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=500)
    assert "Traceback" not in errors
    assert "the same command goes on from there" in errors
    assert not works(other)
    (left,) = run_folders_in(tmp_path / "outputs")
    step = int(max(left.folder.glob("checkpoint-*")).stem.removeprefix("checkpoint-"))
    code, _, errors = command(*TINY, *LONG, "tracking.reuse=code", "trainer.checkpoint_seconds=60")
    assert code == 0, errors
    assert f"goes on after step {step:,}" in errors
    one = next(cell for cell in run_folders_in(tmp_path / "outputs") if cell.folder != left.folder)
    assert (one.folder / RECORD).is_file()
    assert one.state()["tags"]["bertlab.moved"].startswith(f"after step {step:,} from cpu")
    assert one.state()["tags"]["bertlab.moved"].endswith("devices 2")
