"""Tiny runs, their files, and their processes."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bertlab.study.record import read_record
from bertlab.tracking.description import RESTARTS
from bertlab.tracking.metrics import read_points
from bertlab.tracking.run_folder import POINTS, RunFolder
from tests.experiment.test_run_study import TINY as TINY_STUDY
from tests.integration.warm import Program

RUN = ("-m", "bertlab.run")
Basic = Callable[..., Path]

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "evaluation.sequences=8"),
    *("evaluation.pseudo=0", "trainer.progress=false", "trainer.checkpoint_seconds=0.2", "tracking.offline=true"),
)
SHORT, LONG = "budget.tokens=2800", "budget.tokens=30000"  # 20 steps, and enough to find the run at work
GRID = ("-m", *TINY, SHORT, "mask.rate=0.15,0.3", "seed=0,1")
LONG_RUNS = ("-m", *TINY, LONG, "seed=0,1,2,3,4")
STUDY = (*TINY_STUDY, "study.seeds=3", "study.looks=[3]")
LONGEST = 1200.0  # seconds that a sweep may take on a busy machine
CLOCKS = ("perf/seconds", "perf/tokens_per_second")

Essence = tuple[Any, str]


def essence(cell: RunFolder) -> Essence:
    """Return all results of a finished run: its points without times, and the hash of its weights."""
    record = cell.record()
    assert record is not None, cell.folder
    points, _ = read_points(cell.folder / POINTS)
    numbers = [(point.step, {k: v for k, v in point.numbers.items() if k not in CLOCKS}) for point in points]
    return numbers, record["files"]["model/model.safetensors"]


def cells(outputs: Path) -> dict[str, RunFolder]:
    """Return the cells of a folder by the names of their runs."""
    states = {path.parent: json.loads(path.read_text("utf-8")) for path in outputs.glob("cells/*/run.json")}
    return {state["description"]["name"]: RunFolder(folder) for folder, state in states.items()}


def essences(outputs: Path) -> dict[str, Essence]:
    """Return the results of the finished runs of a folder, by name."""
    return {name: essence(cell) for name, cell in cells(outputs).items() if cell.record()}


def study_numbers(outputs: Path) -> pd.DataFrame:
    """Return the results of the runs of the study."""
    return read_record(outputs / "reports" / "padding").runs.filter(regex="^(arm|seed|diverged|eval/)")


def restarts(outputs: Path) -> dict[str, int]:
    """Return how often each run's process was lost."""
    return {name: int(cell.state().get("tags", {}).get(RESTARTS, 0)) for name, cell in cells(outputs).items()}


def at_work(outputs: Path) -> Iterator[tuple[str, int]]:
    """Yield the runs that have a checkpoint by now, and the processes that train them."""
    for name, cell in cells(outputs).items():
        state = cell.state()
        if state["status"] == "RUNNING" and any(cell.folder.glob("checkpoint-*")) and lives(state["pid"]):
            yield name, int(state["pid"])


def lives(pid: int) -> bool:
    """Return whether a process exists."""
    return Path(f"/proc/{pid}/environ").exists()


def parent(pid: int) -> int:
    """Return the process that started a process."""
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


def environment_of(pid: int) -> dict[str, str]:
    """Return the variables that a process was started with."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def slurm_job(pid: int) -> str:
    """Return the id of the job that a process belongs to, as Slurm's commands take it."""
    own = environment_of(pid)
    array = own.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{own['SLURM_ARRAY_TASK_ID']}" if array else own["SLURM_JOB_ID"]


def disturb(sweep: Program, outputs: Path, acts: Mapping[str, Callable[[int], Any]]) -> tuple[str, str]:
    """Do something to the process of each named run, once it trains; return the output of the sweep."""
    left, end = dict(acts), time.monotonic() + LONGEST
    while sweep.poll() is None and time.monotonic() < end:
        for name, pid in at_work(outputs) if left else ():
            if act := left.pop(name, None):
                act(pid)
        time.sleep(0.05)
    assert sweep.poll() is not None, f"still at work after {LONGEST:.0f} s"
    out, err = sweep.communicate()
    assert not left, f"never seen at work: {sorted(left)}\n{err}"
    return out, err


def kill(signum: int) -> Callable[[int], None]:
    """Return what sends a signal to a process."""
    return lambda pid: os.kill(pid, signum)
