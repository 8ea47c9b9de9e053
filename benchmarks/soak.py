"""Kill runs at random moments, start them again, and count what was lost: `python benchmarks/soak.py [kills=20]`.

Tiny runs on the generated corpus are trained in processes of their own. Each is killed with SIGKILL again and again,
anywhere between its first line and its last, and typed again; then it is compared with the same run left alone: weights
bit by bit, and every point in MLflow but the times.
  kills=20  in all
  seed=0    of the moments
"""

import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertlab.arguments import parse
from bertlab.compose import choices, load, resolved
from bertlab.explain import one_line_errors
from bertlab.job import train  # everything heavy is imported once: processes are forked from this one
from bertlab.ledger.cell import cells_in

DEFAULTS = {"kills": "20", "seed": "0"}
TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=14000"),  # 100 steps
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "trainer.checkpoint_seconds=0"),
    *("model.layers=2", "model.width=16", "model.heads=1", "model.inner=16", "model.dropout=0.1"),
)
CLOCKS = ("perf/seconds", "perf/tokens_per_second")
MOST_KILLS = 5  # of one run; then the next one has its turn
Curves = dict[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Figures:
    """What the kills did."""

    kills: int
    resumed: int  # starts that went on from a checkpoint
    runs: int
    lost: int  # runs that did not finish
    repeated: int  # runs that MLflow has more than once
    unequal: int  # runs whose weights differ from those of the run left alone
    metrics_lost: int
    metrics_doubled: int
    metrics_changed: int


def soak(kills: int, seed: int, folder: Path) -> Figures:
    """Kill and compare. Raises SystemExit where a run left alone does not finish."""
    draw, done, run = np.random.default_rng(seed), 0, 0
    calm, rough = folder / "calm", folder / "rough"
    while done < kills:
        seconds = _timed(lambda run=run: _child(calm, run))
        most = min(done + MOST_KILLS, kills)
        while done < most and _killed(_child(rough, run), draw.uniform(0, seconds)):
            done += 1
        _finish(_child(rough, run))
        run += 1
    return compare(calm, rough, run, done)


def _child(folder: Path, seed: int) -> int:
    """Start a process that trains, and return its id."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        own = [f"tracking.uri={_uri(folder)}", f"tracking.experiment={folder.name}", f"output_dir={folder}/outputs"]
        words = [*TINY, f"seed={seed}", *own]
        logging.basicConfig(filename=folder / "messages", level=logging.INFO, force=True)
        code = 1
        try:
            config = load(words)
            train(resolved(config), choices(config), words)
            code = 0
        except BaseException as error:  # the process must end here, whatever happens
            print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        os._exit(code)
    return child


def _uri(folder: Path) -> str:
    return f"sqlite:///{folder.parent}/mlflow.db"


def _killed(child: int, seconds: float) -> bool:
    """Kill a process after some time; False when it had ended before."""
    time.sleep(seconds)
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        if status:
            raise SystemExit(1)
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _finish(child: int) -> None:
    if os.waitpid(child, 0)[1]:
        raise SystemExit(1)


def _timed(start: Callable[[], int]) -> float:
    started = time.monotonic()
    _finish(start())
    return time.monotonic() - started


def compare(calm: Path, rough: Path, runs: int, kills: int) -> Figures:
    """Compare what was left alone with what was killed, run by run."""
    left_alone, disturbed = _curves(calm), _curves(rough)
    records = [
        {cell.key: cell.record() for cell in cells_in(folder / "outputs") if cell.record()} for folder in (calm, rough)
    ]
    weights = [{key: record["weights"] for key, record in found.items()} for found in records]
    lost = doubled = changed = 0
    for key, (curves, *_) in left_alone.items():
        other = disturbed.get(key, [{}])[0]
        for name, curve in curves.items():
            found = Counter(step for step, _ in other.get(name, []))
            lost += sum(step not in found for step, _ in curve)
            doubled += sum(times - 1 for times in found.values())
            changed += name not in CLOCKS and dict(other.get(name, [])) != dict(curve)
    return Figures(
        kills=kills,
        resumed=(rough / "messages").read_text().count("goes on after step"),
        runs=runs,
        lost=runs - len(weights[1]),
        repeated=sum(len(found) - 1 for found in disturbed.values()),
        unequal=sum(weights[1].get(key) != value for key, value in weights[0].items()),
        metrics_lost=lost,
        metrics_doubled=doubled,
        metrics_changed=changed,
    )


def _curves(folder: Path) -> dict[str, list[Curves]]:
    """Return the curves of every run in a store, by key."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(_uri(folder))
    found: dict[str, list[Curves]] = {}
    for run in client.search_runs([client.get_experiment_by_name(folder.name).experiment_id]):
        curves: Curves = {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        if run.info.status != "FINISHED":
            continue  # its points are missed, then
        found.setdefault(run.data.tags["bertlab.key"], []).append(curves)
    return found


def main() -> None:
    """Enter from the command line."""
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any] = parse(DEFAULTS, __doc__)
        figures = soak(int(given["kills"]), int(given["seed"]), Path(folder))
        for name, number in vars(figures).items():
            print(f"{name.replace('_', ' ')}: {number}")  # noqa: T201
        faults = {
            name: number
            for name, number in vars(figures).items()
            if name not in ("kills", "resumed", "runs") and number
        }
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
