"""Faults of a machine: each ends a run with one line, leaves no half-written file, and spares finished runs.

Damaged caches, checkpoints and databases, and losses that are not finite, are tested with the code that reads them.
"""

import json
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from bertlab.commands import sync
from bertlab.config.errors import InputError
from bertlab.objective.joint import Joint
from bertlab.tracking import run_log, saved_model
from bertlab.tracking.retry import needing

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),  # 5 steps
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "tracking.offline=true"),
)
ROOM = 1 << 16  # bytes that a file may have on a day without room: enough for points, too little for weights
Command = Callable[..., tuple[Any, str]]


@pytest.fixture
def command(command: Callable[..., tuple[Any, str, str]]) -> Command:
    """Run `python -m bertlab.run` offline in a folder of its own, in this process: (exit code, messages)."""
    return lambda *words: command(*TINY, *words)[::2]


def cells() -> dict[str, Mapping[str, Any]]:
    """Return the state of every cell, by the name of its folder."""
    return {path.parent.name: json.loads(path.read_text("utf-8")) for path in Path("outputs/cells").glob("*/run.json")}


def content() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path("outputs/cells").rglob("*") if path.is_file()}


@contextmanager
def no_room() -> Iterator[None]:
    """Let the system refuse files longer than `ROOM`, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_memory() -> Iterator[None]:
    def hungry(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Joint, "__call__", hungry)
        yield


DAYS = {
    no_room: "bertlab: output_dir must be a folder with room that can be written, got ",
    no_memory: "bertlab: this needs more memory than there is ([enforce fail at alloc_cpu.cpp:127] Default",
}


def test_a_bad_day_is_one_line_spares_what_is_finished_and_is_made_up_for(command: Command) -> None:
    assert command("seed=1")[0] == 0
    finished, (name,) = content(), cells()
    for provoke, line in DAYS.items():
        with provoke():
            code, err = command("seed=2")
        last = err.splitlines()[-1]
        assert (code, last[: len(line)]) == (2, line)
        assert "Traceback" not in err
        assert {state["status"] for other, state in cells().items() if other != name} == {"FAILED"}
        assert {path: path.read_bytes() for path in finished} == finished
        others = {path.name for path in content() if path.parts[2] != name}
        assert "traceback.txt" in others
        assert not [left for left in others if left.startswith(".") or left in ("record.json", "model.safetensors")]

    assert command("seed=2")[0] == 0
    assert {state["status"] for state in cells().values()} == {"FINISHED"}
    assert {path: path.read_bytes() for path in finished} == finished


@pytest.mark.slow
def test_a_disk_that_fills_up_while_the_store_takes_a_model_costs_no_weights(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = saved_model.upload_weights

    def cramped(*given: Any) -> None:
        with no_room():
            upload(*given)

    with monkeypatch.context() as patch:
        patch.setattr(saved_model, "upload_weights", cramped)
        patch.setattr(run_log, "PATIENCE", dict.fromkeys(run_log.PATIENCE, 2.0))  # seconds: time for a second attempt
        code, err = command("tracking.offline=false")
        for sender in (thread for thread in threading.enumerate() if thread.name == "bertlab-sender"):
            sender.join()
    assert (code, [state["status"] for state in cells().values()]) == (0, ["FINISHED"])
    assert err.splitlines()[-1].endswith("type bertlab sync from=outputs")
    assert "Traceback" not in err
    kept = {path.name: path.read_bytes() for path in Path("outputs/cells").glob("*/model/*")}
    assert len(kept["model.safetensors"]) > ROOM

    assert command("tracking.offline=false")[0] == 0
    assert {path.name: path.read_bytes() for path in Path("mlartifacts").glob("models/*/artifacts/*")} == kept


def test_a_database_that_was_cut_short_is_refused_at_once_stays_as_it_is_and_is_made_anew_from_the_runs(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("tracking.offline=false")[0] == 0
    database, finished = Path("mlflow.db"), content()
    whole = database.read_bytes()
    for size in (50, len(whole) - 4096):
        database.write_bytes(whole[:size])
        code, err = command("tracking.offline=false", "seed=1")
        (line,) = err.splitlines()
        assert (code, database.read_bytes()) == (2, whole[:size])
        assert line.startswith(f"bertlab: tracking.uri must name an MLflow store, got sqlite:///{database.resolve()}: ")
        assert line.endswith("; move the file away, then bertlab sync makes it again from the folder of the runs")
    assert content() == finished
    anew = Path("anew.db").resolve()  # and not the same: this process has the old file open
    sync.main([f"uri=sqlite:///{anew}"])
    assert capsys.readouterr().out.startswith("1 runs and 0 sweeps of outputs are in the store")


@pytest.mark.parametrize(
    ("uri", "remedy"), [("http://127.0.0.1:1", "start the server"), ("sqlite:////gone.db", "mend its file")]
)
def test_a_store_that_goes_away_while_a_study_needs_it_is_one_line(uri: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught, needing(uri):
        raise MlflowException("no\nanswer")
    assert str(caught.value) == (
        f"tracking.uri must name a store that answers until the command ends, got {uri}, which went away: no answer; "
        f"{remedy} and type the same command again; nothing that is finished is repeated"
    )


@pytest.mark.parametrize("place", ["outputs", "outputs/runs", "outputs/cells"])
def test_an_output_folder_that_cannot_be_written_is_one_line(command: Command, place: str) -> None:
    """A file in the place of a folder: that stops even root, who needs no permission."""
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text("in the way", "utf-8")
    code, err = command()
    (line,) = err.splitlines()
    assert (code, Path(place).read_text("utf-8")) == (2, "in the way")
    assert line.startswith("bertlab: ")
    assert "output_dir" in line
    assert place in line


def test_a_clock_that_goes_backwards_leaves_times_in_order(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    now, second = time.time_ns(), count()
    monkeypatch.setattr(time, "time_ns", lambda: now - 1_000_000_000 * next(second))
    monkeypatch.setattr(time, "time", lambda: now / 1e9 - next(second))
    assert command()[0] == 0
    ((name, state),) = cells().items()
    points = [json.loads(line) for line in Path("outputs/cells", name, "metrics.jsonl").read_text("utf-8").splitlines()]
    assert state["status"] == "FINISHED"
    assert state["ended"] >= state["started"]
    assert len(points) > 1
    assert [point["time"] for point in points] == sorted(point["time"] for point in points)
