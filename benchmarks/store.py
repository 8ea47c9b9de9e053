"""Reports and look-ups at the scale of large studies: `python benchmarks/store.py [report=200] [points=500]`.

A real run is made, with this many points of training. Its rows in MLflow's SQLite store are copied under new ids, keys
and seeds: parameters, tags, datasets and all its curves. Its files and artifacts are copied too. Reports are whole
commands in fresh processes. Finished runs are looked up as a study does. Both are timed where the runs were made, and
with only the store. The work that every sweep and study does with the cells of a folder is timed in a folder with many
cells: the search for dead runs, planning, and adding runs to the archive.
  report=200     runs of the reported sweep
  points=500     points of training of each run; the default of a run is 100
  runs=2000      runs of the store in which finished ones are looked up
  wanted=100     keys that are looked up
  cells=10000    cells of the folder; also seeds, and configurations, of the planned sweeps
  times=3
  what=all       or cells: only the work with the cells of a folder
"""

import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

from measure import Row, save, seconds
from mlflow.utils.file_utils import local_file_uri_to_path
from startup import ended

from bertlab.config.arguments import parse
from bertlab.config.compose import load, resolved, typed
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError, whole_number
from bertlab.config.settling import composing, settling
from bertlab.sweep.grid import Planning
from bertlab.tracking.archive import archived_folders as archived
from bertlab.tracking.archive import pack
from bertlab.tracking.description import KIND, TOKEN, Identity
from bertlab.tracking.files import sealed
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import children, find_sweep
from bertlab.tracking.reuse import finished_runs, folder_identity, mark_killed
from bertlab.tracking.run_folder import (
    RECORD,
    RUNNING,
    SEALED,
    STATE,
    RunFolder,
    lasting_hash,
    run_folder_of,
    run_folders_in,
)
from bertlab.train.early import check_early

DEFAULTS = {
    "report": "200",
    "points": "500",
    "runs": "2000",
    "wanted": "100",
    "cells": "10000",
    "times": "3",
    "what": "all",
}
REPORT, FOUND = 5.0, 2.0  # targets in seconds
SCALE = (0.05, 60.0, 200.0, 120.0, 10.0)  # targets in CPU seconds
BEFORE = (  # measured on an AMD EPYC, at commit 66581dd
    "0.29 s and for each run of a sweep, when all cells were looked at",
    "684 s by 100 of them, when each seed was composed and checked by itself",
    "0.07 to 0.14 s for each of them, when each was composed three times and shared nothing with the others",
)
STEP = 4 * 35  # tokens
QUICK = (
    *("data=docs", "batch.size=4", "batch.length=35", "evaluation.sequences=16", "evaluation.pseudo=16"),
    *("model=nano", "trainer.progress=false", "trainer.checkpoint_seconds=1e6", "tracking.weights=false"),
)
OWNED = ("runs", "tags", "params", "metrics", "latest_metrics")  # tables with a column run_uuid
EXPERIMENT = "bertlab"
Copy = Mapping[str, str]  # tags and parameters whose values differ between copies


def main() -> None:
    """Measure and save."""
    words = parse(DEFAULTS, __doc__, sys.argv[1:])
    if (what := words.pop("what")) not in ("all", "cells"):
        raise InputError(f"what must be all or cells, got {what}; choose one")
    given = {name: number(name, text) for name, text in words.items()}
    if given["wanted"] >= given["runs"]:
        raise InputError(f"wanted must be less than runs={given['runs']}, got {given['wanted']}; choose a smaller one")
    with tempfile.TemporaryDirectory() as folder:
        if what == "all":
            rows = reports(Path(folder) / "report", given["report"], given["points"], given["times"])
            rows += look_ups(Path(folder) / "found", given["runs"], given["wanted"], given["times"])
            save(rows)
        save(many_cells(Path(folder) / "many", given["cells"]), "_cells")


def number(name: str, text: str) -> int:
    """Return the number in an argument. Raises InputError."""
    return whole_number(name, int(text) if text.isdecimal() else text, 1)


def reports(folder: Path, runs: int, points: int, times: int) -> list[Row]:
    """Time the report of a sweep, from its store and from the tables of an earlier report."""
    tracker = make_store(folder, points)
    copy_run(folder, runs)
    client = tracker.connect()
    values = sum(len(run.data.metrics) for run in children(client, find_sweep(client, EXPERIMENT, None)))
    command = ("-m", "bertlab.report")
    ways = {
        "its MLflow store, where it ran": (*command, f"uri={tracker.uri}", "out=first"),
        "its MLflow store alone": (*command, f"uri={tracker.uri}", "out=first", "output_dir=elsewhere"),
        "the tables of an earlier report": (*command, "from=first", "out=second"),
    }
    rows = []
    for name, words in ways.items():
        ends = [ended(words, folder) for _ in range(times)]
        assert all(end.code == 0 for end in ends), name
        took, peak = median(end.seconds for end in ends), max(end.peak for end in ends)
        rows.append(
            Row(
                f"report of {runs} runs x {points} points from {name}",
                "",
                f"{took:.1f} s",
                f"{REPORT:g} s",
                took <= REPORT,
                f"{median(end.cpu for end in ends):.1f} s of CPU time, {peak:,.0f} MiB at most; "
                f"{values:,} curves, {rows_of(folder):,} values in the store",
            )
        )
    return rows


def look_ups(folder: Path, runs: int, wanted: int, times: int) -> list[Row]:
    """Time the search for finished runs among many."""
    tracker = make_store(folder, points=20)
    keys = copy_run(folder, runs)
    asked = keys[:: len(keys) // wanted][:wanted]
    places = {"where they ran": folder / "outputs", "elsewhere": folder / "elsewhere"}
    rows = []
    for name, place in places.items():
        took = found_in(tracker, place, asked, times)
        rows.append(
            Row(
                f"{wanted} finished runs found in a store of {runs:,}, {name}",
                "",
                f"{median(took):.2f} s",
                f"{FOUND:g} s",
                median(took) <= FOUND,
                f"{min(took):.2f} to {max(took):.2f} s, {times} times",
            )
        )
    return rows


def many_cells(folder: Path, cells: int) -> list[Row]:
    """Time the work with the cells of a folder, one of them dead, in CPU seconds of this process."""
    tracker = make_store(folder, points=20)
    own = run_folders_in(folder / "outputs")
    for number in range(1, cells):
        own.append(copy_cell(own[0], f"{number:016x}", f"{number:032x}"))
    dead = run_folder_of(folder / "outputs", "dead", own[0].code, own[0].environment)
    with dead.held():
        dead.begin(**{**own[0].state(), "token": "dead", "status": RUNNING})
    archive, new = folder / "cells.tar.xz", max(cells // 1000, 1)
    buried: list[int] = []
    named = f"of {cells:,} cells"
    took = {
        f"one dead run found {named}": cpu(lambda: buried.append(len(mark_killed(tracker, folder / "outputs")))),
        f"a sweep of {cells:,} seeds planned": cpu(lambda: planned(folder, seeds(cells))),
        f"a sweep of {cells:,} configurations planned": cpu(lambda: planned(folder, configurations(cells))),
        f"an archive {named} made": cpu(lambda: pack(own[new:], archive)),
        f"{new} cells added to an archive {named}": cpu(lambda: pack(own, archive)),
    }
    assert buried == [1]
    assert len(archived(archive, folder)) == cells
    details = dict(zip(took, (*BEFORE, f"{archive.stat().st_size / 1e6:,.1f} MB", ""), strict=True))
    targets = dict(zip(took, SCALE, strict=True))
    return [
        Row(name, "", f"{own:.3g} CPU s", f"{targets[name]:g} s", own <= targets[name], details[name])
        for name, own in took.items()
    ]


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process that some work takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def planned(folder: Path, jobs: Sequence[Sequence[str]]) -> None:
    """Check and plan a sweep as its command does."""
    settled = settling(composing(load))
    words = [*QUICK, f"output_dir={folder}/outputs", "budget.tokens=2800"]
    factors = [word.partition("=")[0] for word in jobs[0]]
    check_early(settled([*words, *job])[0] for job in jobs)
    planning = Planning(factors, settled, settled(words)[0])
    keys = {planning.plan([*words, *job]).key for job in jobs}
    assert len(keys) == len(jobs)


def seeds(count: int) -> list[list[str]]:
    """Return the overrides of jobs with different seeds."""
    return [[f"seed={seed}"] for seed in range(count)]


def configurations(count: int) -> list[list[str]]:
    """Return the overrides of jobs that all have different mask rates and learning rates."""
    return [
        [f"mask.rate={0.05 + 0.5 * part / count:.6f}", f"optimizer.lr={1e-3 * (1 + part / count):.8f}"]
        for part in range(count)
    ]


def copy_cell(cell: RunFolder, key: str, run_id: str) -> RunFolder:
    """Copy a finished cell under another key, sealed like a real run."""
    copy = run_folder_of(cell.folder.parents[1], key, cell.code, cell.environment)
    copy.folder.mkdir()
    for name in SEALED:
        shutil.copyfile(cell.folder / name, copy.folder / name)
    about = cell.state()["description"]
    params = {**about["params"], "seed": str(int(key, 16))}
    about = {**about, "params": params, "tags": {**about["tags"], "bertlab.key": key}}
    state = {**cell.state(), "token": key, "run_id": run_id, "description": about}
    record = {**(cell.record() or {}), "key": key, "run": lasting_hash(state)}
    for name, fields in ((STATE, state), (RECORD, record)):
        (copy.folder / name).write_text(sealed(fields), "utf-8")
    return copy


def found_in(tracker: Tracker, output_dir: Path, asked: list[Identity], times: int) -> list[float]:
    """Return the seconds of each search for finished runs."""
    found: list[int] = []
    took = [seconds(lambda: found.append(len(finished_runs(tracker, output_dir, asked)))) for _ in range(times)]
    assert found == [len(asked)] * times
    return took


def make_store(folder: Path, points: int) -> Tracker:
    """Create a store with a sweep of one run with this many points, and return its tracker."""
    from bertlab.sweep.run import train

    folder.mkdir()
    tracker = Tracker(uri=f"sqlite:///{folder}/mlflow.db", experiment=EXPERIMENT)
    client = tracker.connect()
    about = {KIND: "sweep", "bertlab.factors": "seed", "bertlab.command": "python -m bertlab.run -m seed=..."}
    parent = tracker.start(client, "many seeds", about)
    own = (f"budget.tokens={points * STEP}", f"trainer.points={points}", f"output_dir={folder}/outputs")
    tracked = (f"tracking.uri={tracker.uri}", f"tracking.parent={parent}", "tracking.factors=[seed]")
    words = [*QUICK, *own, *tracked, "tracking.baseline=true", "seed=0"]
    config = load(words)
    train(resolved(config), typed(config, words))
    client.set_terminated(parent)
    return tracker


def copy_run(folder: Path, runs: int) -> list[Identity]:
    """Copy the run of a store and its cell until there are this many; return the identities of the copies."""
    keys = [f"{seed:016x}" for seed in range(1, runs)]
    (cell,) = run_folders_in(folder / "outputs")
    for number, key in enumerate(keys):
        copy_cell(cell, key, f"{number:032x}")
    copy_rows(folder, [{"seed": str(seed), "bertlab.key": key, TOKEN: key} for seed, key in enumerate(keys, 1)])
    return [replace(folder_identity(cell), key=key) for key in keys]


def copy_rows(folder: Path, copies: list[Copy]) -> None:
    """Copy the run of a store, once for each of `copies`, which contains its own tags and parameters."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        ((run_id,),) = database.execute("SELECT run_uuid FROM tags WHERE key = ? AND value = 'run'", (KIND,))
        ((place,),) = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,))
        for number, own in enumerate(copies):
            new = f"{number:032x}"
            for table in OWNED:
                copy_table(database, table, {"run_uuid": new}, ("run_uuid", run_id))
            uri = place.replace(run_id, new)
            database.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (uri, new))
            shutil.copytree(local_file_uri_to_path(place), local_file_uri_to_path(uri))
            copy_table(database, "inputs", {"input_uuid": new, "destination_id": new}, ("destination_id", run_id))
            for key, value in own.items():
                for table in ("tags", "params"):
                    database.execute(f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = ?", (value, new, key))


def copy_table(database: sqlite3.Connection, table: str, new: Mapping[str, str], of: tuple[str, str]) -> None:
    """Copy the rows of a table in which a column has a value, with new values of some columns."""
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join("?" if name in new else f'"{name}"' for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    chosen = [new[name] for name in columns if name in new]
    database.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {of[0]} = ?", (*chosen, of[1]))


def rows_of(folder: Path) -> int:
    """Return the number of values in the curves of a store."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return int(database.execute("SELECT count(*) FROM metrics").fetchone()[0])


if __name__ == "__main__":
    with one_line_errors():
        main()
