"""Reports and look-ups at the scale of large studies: `python benchmarks/store.py [report=200] [points=500]`.

A real run is made, with so many points of training, and its rows in MLflow's SQLite store are copied under new ids,
keys and seeds: parameters, tags, datasets and all its curves; and so are its files, artifacts included. Reports are
whole commands in fresh processes. Finished runs are looked for as a study does. Both are timed where the runs were
made, and where nothing but the store is at hand.
  report=200     runs of the reported sweep
  points=500     points of training of each run; the default of a run is 100
  runs=2000      runs of the store in which finished ones are looked for
  wanted=100     keys that are looked for
  times=3
"""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from statistics import median

from measure import Row, save, seconds
from mlflow.utils.file_utils import local_file_uri_to_path
from startup import ended

from bertlab.arguments import parse
from bertlab.compose import choices, load, resolved
from bertlab.errors import InputError, whole_number
from bertlab.explain import one_line_errors
from bertlab.ledger.cell import POINTS, RECORD, STATE, cell_of, cells_in
from bertlab.ledger.files import write_whole
from bertlab.tracking.description import KIND, TOKEN
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.reuse import finished_runs
from bertlab.tracking.table import children, find_sweep

DEFAULTS = {"report": "200", "points": "500", "runs": "2000", "wanted": "100", "times": "3"}
REPORT, FOUND = 5.0, 2.0  # seconds, to be reached
STEP = 4 * 35  # tokens
QUICK = (
    *("data=docs", "batch.size=4", "batch.length=35", "evaluation.sequences=16", "evaluation.pseudo=16"),
    *("model=nano", "trainer.progress=false", "trainer.checkpoint_seconds=1e6", "tracking.weights=false"),
)
OWNED = ("runs", "tags", "params", "metrics", "latest_metrics")  # tables with a column run_uuid
EXPERIMENT = "bertlab"
Copy = Mapping[str, str]  # the values of tags and parameters that are a copy's own


def main() -> None:
    """Measure and keep."""
    given = {name: number(name, text) for name, text in parse(DEFAULTS, __doc__).items()}
    if given["wanted"] >= given["runs"]:
        raise InputError(f"wanted must be less than runs={given['runs']}, got {given['wanted']}; choose a smaller one")
    with tempfile.TemporaryDirectory() as folder:
        rows = reports(Path(folder) / "report", given["report"], given["points"], given["times"])
        rows += look_ups(Path(folder) / "found", given["runs"], given["wanted"], given["times"])
        save(rows)


def number(name: str, text: str) -> int:
    """Return the number that an argument spells. Raises InputError."""
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
    """Time the look for finished runs among many."""
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


def found_in(tracker: Tracker, output_dir: Path, asked: list[str], times: int) -> list[float]:
    """Return the seconds of each look for finished runs."""
    found: list[int] = []
    took = [seconds(lambda: found.append(len(finished_runs(tracker, output_dir, asked)))) for _ in range(times)]
    assert found == [len(asked)] * times
    return took


def make_store(folder: Path, points: int) -> Tracker:
    """Make a store that holds a sweep of one run with so many points, and return its tracker."""
    from bertlab.job import train

    folder.mkdir()
    tracker = Tracker(uri=f"sqlite:///{folder}/mlflow.db", experiment=EXPERIMENT)
    client = tracker.connect()
    about = {KIND: "sweep", "bertlab.factors": "seed", "bertlab.command": "python -m bertlab.run -m seed=..."}
    parent = tracker.start(client, "many seeds", about)
    own = (f"budget.tokens={points * STEP}", f"trainer.points={points}", f"output_dir={folder}/outputs")
    tracked = (f"tracking.uri={tracker.uri}", f"tracking.parent={parent}", "tracking.factors=[seed]")
    words = [*QUICK, *own, *tracked, "tracking.baseline=true", "seed=0"]
    config = load(words)
    train(resolved(config), choices(config), words)
    client.set_terminated(parent)
    return tracker


def copy_run(folder: Path, runs: int) -> list[str]:
    """Copy the run of a store and its cell until there are so many, and return the keys of the copies."""
    keys = [f"{seed:016x}" for seed in range(1, runs)]
    (cell,) = cells_in(folder / "outputs")
    for number, key in enumerate(keys):
        copy = cell_of(folder / "outputs", key, cell.code)
        copy.folder.mkdir()
        shutil.copyfile(cell.folder / POINTS, copy.folder / POINTS)
        write_whole(copy.folder / STATE, json.dumps({**cell.state(), "token": key, "run_id": f"{number:032x}"}))
        write_whole(copy.folder / RECORD, json.dumps({**(cell.record() or {}), "key": key}))
    copy_rows(folder, [{"seed": str(seed), "bertlab.key": key, TOKEN: key} for seed, key in enumerate(keys, 1)])
    return keys


def copy_rows(folder: Path, copies: list[Copy]) -> None:
    """Copy the run of a store, once for each of `copies`, which holds the tags and parameters of its own."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        ((run_id,),) = database.execute("SELECT run_uuid FROM tags WHERE key = ? AND value = 'run'", (KIND,))
        ((place,),) = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,))
        for number, own in enumerate(copies):
            new = f"{number:032x}"
            for table in OWNED:
                _copy_rows(database, table, {"run_uuid": new}, ("run_uuid", run_id))
            uri = place.replace(run_id, new)
            database.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (uri, new))
            shutil.copytree(local_file_uri_to_path(place), local_file_uri_to_path(uri))
            _copy_rows(database, "inputs", {"input_uuid": new, "destination_id": new}, ("destination_id", run_id))
            for key, value in own.items():
                for table in ("tags", "params"):
                    database.execute(f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = ?", (value, new, key))


def _copy_rows(database: sqlite3.Connection, table: str, new: Mapping[str, str], of: tuple[str, str]) -> None:
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join("?" if name in new else f'"{name}"' for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    chosen = [new[name] for name in columns if name in new]
    database.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {of[0]} = ?", (*chosen, of[1]))


def rows_of(folder: Path) -> int:
    """Return how many values the curves of a store hold."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return int(database.execute("SELECT count(*) FROM metrics").fetchone()[0])


if __name__ == "__main__":
    with one_line_errors():
        main()
