"""A server that stops during a run or a study: no step waits for it, and everything arrives exactly once."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from bertlab.commands import sync
from bertlab.commands.run import main
from bertlab.experiment import run_study as conduct
from bertlab.tracking import run_log
from bertlab.tracking.run_folder import POINTS as POINTS_FILE
from bertlab.tracking.run_folder import run_folders_in
from bertlab.tracking.run_log import RunLog
from tests.command import settled
from tests.integration.conftest import Server, Spawn
from tests.integration.door import Door, door
from tests.integration.warm import Program

pytestmark = pytest.mark.integration

POINTS, STEPS = 200, 2000
LONGER = 2 * STEPS  # for a run that must still be training when its server is gone
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


@dataclass
class Distant(Server):
    """A server behind a door: while that is closed, the server is away."""

    door: Door


@pytest.fixture
def server(server: Server) -> Iterator[Distant]:
    with door(server.port) as before:
        yield Distant(before.uri, server.database, server.folder, before)


def start(server: Distant, spawn: Spawn, experiment: str, *words: str) -> Program:
    """Start a run and return once it trains."""
    own = [f"tracking.uri={server.uri}", f"tracking.experiment={experiment}", *words]
    process = spawn(*WORDS[:2], *settled([*WORDS[2:], *own]))  # behind python -m bertlab.run
    deadline = time.monotonic() + 120
    while not server.rows(RUN, experiment=experiment, kind="run"):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the run does not begin"
        time.sleep(0.2)
    time.sleep(1)
    return process


def arrived(server: Server, experiment: str, steps: int = STEPS) -> tuple[str, list[tuple[Any, ...]]]:
    """Return the finished run and its points; each point must be there once."""
    ((run, status),) = server.rows(RUN, experiment=experiment, kind="run")
    assert status == "FINISHED"
    assert server.rows(TWICE, run=run) == []
    losses = server.rows(LOSSES, run=run)
    assert [step for step, _ in losses] == list(range(steps // POINTS, steps + 1, steps // POINTS))
    return run, losses


def points_on_disk(folder: Path) -> int:
    """Return the size of the points of the runs in a folder."""
    return sum(path.stat().st_size for path in folder.glob(f"outputs/cells/*/{POINTS_FILE}"))


def test_a_server_that_is_away_for_a_while_costs_no_point_and_no_time(
    server: Distant, spawn: Spawn, tmp_path: Path
) -> None:
    process = start(server, spawn, "away", f"budget.tokens={LONGER * 2 * 35}")
    server.door.close()
    left, before = time.time(), points_on_disk(tmp_path)
    try:
        while points_on_disk(tmp_path) == before:  # it continues training; the time depends on the machine
            assert process.poll() is None, "the run must be long enough to notice"
            assert time.time() < left + 120, "training waited for the server"
            time.sleep(0.2)
        time.sleep(0.2)
        back = time.time()
    finally:
        server.door.open()
    _, error = process.communicate(timeout=500)
    assert process.returncode == 0, error
    _, losses = arrived(server, "away", LONGER)
    assert any(left < milliseconds / 1000 < back for _, milliseconds in losses), "training waited for the server"


def test_what_a_sweep_could_not_send_at_its_end_is_brought_by_sync_twice_without_harm(
    server: Distant, spawn: Spawn
) -> None:
    process = start(server, spawn, "gone", "-m", "mask.rate=0.15")
    server.door.close()
    try:
        out, error = process.communicate(timeout=500)
    finally:
        server.door.open()
    assert process.returncode == 0, error
    assert out.startswith("finished")
    (parent,) = (line for line in error.splitlines() if "parent run" in line)
    assert parent.endswith("is back, type bertlab sync from=outputs")
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


STUDY = (
    *("study=padding", "data=oracle", "data.documents=80", "batch.size=3", "budget.tokens=735"),  # 7 steps
    *("model.width=16", "model.heads=1", "model.inner=16", "trainer.points=2", "trainer.progress=false"),
    *("evaluation.sequences=4", "evaluation.share=0.99", "evaluation.pseudo=0", "tracking.weights=false"),
    *("~study.margin.tokens", "+study.margin.nats=0.1", "study.floor=0", "study.seeds=3", "study.looks=[3]"),
    "study.controls.harmful=['budget.tokens=210']",
)
CELLS = 15  # four arms of three seeds, and three runs that explore
STARTS = (
    "select run_uuid, start_time from runs join experiments using (experiment_id) where experiments.name = :experiment"
)


def last_line(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str]:
    """Run `python -m bertlab.run` in this process: (exit code, the last line of its messages)."""
    code: Any = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run"])
        try:
            main(words)
        except SystemExit as end:
            code = end.code
        finally:
            GlobalHydra.instance().clear()
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return code, error.splitlines()[-1]


def test_a_study_whose_server_goes_away_at_its_end_goes_on_where_it_was(
    server: Distant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Away before the last run's end, so that it is judged from files; then away before the verdict is published."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setitem(run_log.PATIENCE, "FINISHED", 3.0)
    words = (*STUDY, f"tracking.uri={server.uri}", "tracking.experiment=study")

    def leave(when: Any, name: str, count: int = 1) -> tuple[Any, str]:
        """Run the command; the server goes away before the `count`-th call of a function."""
        calls, work = iter(range(1, count + 1)), getattr(when, name)

        def left(*given: Any, **named: Any) -> Any:
            if next(calls, None) == count:
                server.door.close()
            return work(*given, **named)

        with monkeypatch.context() as patch:
            patch.setattr(when, name, left)
            try:
                return last_line(capsys, *words)
            finally:
                server.door.open()

    def trained() -> int:
        kinds = server.rows(RUN, experiment="study", kind="run")
        assert {status for _, status in kinds} <= {"FINISHED", "RUNNING"}
        return sum(status == "FINISHED" for _, status in kinds)

    rest = "and the same command again for the rest"
    code, line = leave(RunLog, "finish", CELLS)
    assert (code, line.endswith(rest)) == (0, True)
    assert Path("outputs/reports/padding.md").is_file()
    assert [cell.state()["status"] for cell in run_folders_in("outputs")] == ["FINISHED"] * CELLS
    assert trained() == CELLS - 1
    assert sync.sync({"from": "outputs", "uri": server.uri, "experiment": None}).startswith(f"{CELLS} runs")
    assert trained() == CELLS
    runs = server.rows(STARTS, experiment="study")

    code, line = leave(conduct, "write_book")
    assert (code, line.endswith(rest)) == (0, True)
    page = Path("outputs/reports/padding.md").read_bytes()
    assert last_line(capsys, *words)[0] == 0
    assert Path("outputs/reports/padding.md").read_bytes() == page
    ((study, status),) = server.rows(RUN, experiment="study", kind="study")
    assert status == "FINISHED"
    assert [path.read_bytes() for path in server.folder.rglob(f"{study}/artifacts/report/padding.md")] == [page]
    assert trained() == CELLS
    assert Counter(runs) <= Counter(server.rows(STARTS, experiment="study"))
