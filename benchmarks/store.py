"""Reports and look-ups at the scale of large studies: `python benchmarks/store.py [report=200] [points=500]`.

A real run is made, with so many points of training, and its rows in MLflow's SQLite store are copied under new ids,
keys and seeds: parameters, tags, datasets and all its curves. Reports are whole commands in fresh processes. Finished
runs are looked for as a study does, in a store to which a run of every key was copied.
  report=200     runs of the reported sweep
  points=500     points of training of each run; the default of a run is 100
  runs=2000      runs of the store in which finished ones are looked for
  wanted=100     keys that are looked for
  times=3
"""

import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from statistics import median

from measure import Row, save, seconds
from startup import ended

from bertlab.arguments import parse
from bertlab.compose import choices, load, resolved
from bertlab.explain import one_line_errors
from bertlab.tracking.description import KIND
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
    given = {name: int(value) for name, value in parse(DEFAULTS, __doc__).items()}
    with tempfile.TemporaryDirectory() as folder:
        rows = reports(Path(folder) / "report", given["report"], given["points"], given["times"])
        rows += [look_up(Path(folder) / "found", given["runs"], given["wanted"], given["times"])]
        save(rows)


def reports(folder: Path, runs: int, points: int, times: int) -> list[Row]:
    """Time the report of a sweep, from its store and from the tables of an earlier report."""
    tracker = make_store(folder, points)
    seeds = range(1, runs)
    copy_run(folder, [{"seed": str(seed), "bertlab.key": f"{seed:016x}"} for seed in seeds])
    client = tracker.connect()
    values = sum(len(run.data.metrics) for run in children(client, find_sweep(client, EXPERIMENT, None)))
    command = ("-m", "bertlab.report")
    ways = {
        "its MLflow store": (*command, f"uri={tracker.uri}", "out=first"),
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


def look_up(folder: Path, runs: int, wanted: int, times: int) -> Row:
    """Time the look for finished runs among many."""
    took = found_in(folder, runs, wanted, times)
    return Row(
        f"{wanted} finished runs found in a store of {runs:,}",
        "",
        f"{median(took):.2f} s",
        f"{FOUND:g} s",
        median(took) <= FOUND,
        f"{min(took):.2f} to {max(took):.2f} s, {times} times",
    )


def found_in(folder: Path, runs: int, wanted: int, times: int) -> list[float]:
    """Return the seconds of each look for finished runs in a store of so many."""
    tracker = make_store(folder, points=20)
    keys = [f"{seed:016x}" for seed in range(1, runs)]
    copy_run(folder, [{"seed": str(seed), "bertlab.key": key} for seed, key in enumerate(keys, 1)])
    asked = keys[:: max(len(keys) // wanted, 1)][:wanted]
    took = []
    for _ in range(times):
        found: list[int] = []
        took.append(seconds(lambda: found.append(len(finished_runs(tracker, folder / "outputs", asked)))))  # noqa: B023
        assert found == [len(asked)]
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


def copy_run(folder: Path, copies: list[Copy]) -> None:
    """Copy the run of a store, once for each of `copies`, which holds the tags and parameters of its own."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        ((run_id,),) = database.execute("SELECT run_uuid FROM tags WHERE key = ? AND value = 'run'", (KIND,))
        for number, own in enumerate(copies):
            new = f"{number:032x}"
            for table in OWNED:
                _copy_rows(database, table, {"run_uuid": new}, ("run_uuid", run_id))
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
