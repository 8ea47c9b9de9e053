"""Cost of a sweep beyond its training: `python benchmarks/sweep.py [tokens=2300000]`.

Eight nano runs, tracked in SQLite: the wall time of the whole command, from the start of Python to its last line,
against the sum of the runs' training times. Then the same sweep with two workers of the joblib launcher, one thread
each. Fixed costs weigh more in a shorter sweep. So does evaluation: its curve has few points there, and the final
measures weigh more.
  tokens=2300000  of each run: the default budget
  runs=8          of the sweep
  workers=2       of the joblib launcher
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from measure import Row, save, seconds

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors

DEFAULTS = {"tokens": "2300000", "runs": "8", "workers": "2"}
OVERHEAD, EVALUATION, FASTER = 0.08, 0.05, 1.8  # targets
NANO = ("model=nano", "data=docs", "trainer.progress=false")
TIMINGS = "evaluation.json"
ENTRY = "import sys; sys.path.append(sys.argv.pop(1)); from sweep import entry; entry(sys.argv.pop(1))"


@dataclass(frozen=True)
class Swept:
    """A finished sweep; times in seconds."""

    whole: float
    training: Sequence[float]  # of each run
    evaluation: float  # of all runs; 0 if workers made them
    running: float  # from the first run's start to the last one's end


def main() -> None:
    """Measure and save."""
    given = {name: int(value) for name, value in parse(DEFAULTS, __doc__, sys.argv[1:]).items()}
    words = (f"seed=range({given['runs']})", f"budget.tokens={given['tokens']}")
    workers = ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={given['workers']}")
    alone, beside = sweep(words), sweep((*words, *workers))
    what = f"a sweep of {given['runs']} nano runs of {given['tokens']:,} tokens"
    rows = [*overhead(alone, what), speedup(alone, beside, what, given["workers"]), evaluation(alone, what)]
    there = "there" if find_spec("transformers") else "not there, as the README installs"
    notes = f"1 thread of torch; corpus and token arrays in the cache; transformers, which Lightning imports, {there}"
    save(rows, notes=notes)


def sweep(words: Sequence[str]) -> Swept:
    """Run a sweep in a folder of its own and read its times from its store."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", ENTRY, str(Path(__file__).parent), f"{folder}/{TIMINGS}", "-m", *NANO, *words]
        store = f"sqlite:///{folder}/mlflow.db"
        command += [f"tracking.uri={store}", f"output_dir={folder}/outputs"]
        took = seconds(lambda: subprocess.run(command, check=True, capture_output=True, cwd=folder))
        runs = runs_of(store)
        evaluated = json.loads((Path(folder) / TIMINGS).read_text("utf-8"))
    running = max(run.info.end_time for run in runs) - min(run.info.start_time for run in runs)
    return Swept(took, [run.data.metrics["perf/seconds"] for run in runs], evaluated, running / 1000)


def runs_of(store: str) -> list[Any]:
    """Return the runs of a store."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, "tags.`bertlab.kind` = 'run'"))


def entry(timings: str) -> None:
    """Act as `python -m bertlab.run`, and write the seconds of evaluation to a file."""
    from bertlab.commands.run import main as run

    with timed_evaluation() as took:
        try:
            run(sys.argv[1:])
        finally:
            Path(timings).write_text(json.dumps(sum(took)), "utf-8")


@contextmanager
def timed_evaluation() -> Iterator[list[float]]:
    """Time every evaluation during the block; yields the list of their seconds."""
    from bertlab.evaluation.score import Evaluation

    took: list[float] = []
    with patch.object(Evaluation, "score", stopwatch(Evaluation.score, took)):
        yield took


def stopwatch(call: Callable[..., Any], took: list[float]) -> Callable[..., Any]:
    """Return the function with a timer."""

    def watched(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*given, **named)
        finally:
            took.append(time.perf_counter() - start)

    return watched


def overhead(swept: Swept, what: str) -> Iterator[Row]:
    """Yield the time beyond training, with evaluation and without."""
    training = sum(swept.training)
    beyond = swept.whole - training
    parts: Mapping[str, float] = {
        "evaluation": swept.evaluation,
        "the rest of the runs": swept.running - training - swept.evaluation,
        "before the first run and after the last": swept.whole - swept.running,
    }
    said = ", ".join(f"{name} {took:.1f} s ({took / training:.1%})" for name, took in parts.items())
    against = f"the sum of its training times, {training:.1f} s"
    for name, extra in {"": beyond, " and not evaluation": beyond - swept.evaluation}.items():
        share = extra / training
        yield Row(
            f"{what}: all that is not training{name}",
            against,
            f"{share:.1%}: {extra:.1f} s",
            f"at most {OVERHEAD:.0%}",
            share <= OVERHEAD,
            said if not name else "",
        )


def speedup(alone: Swept, beside: Swept, what: str, workers: int) -> Row:
    """Compare parallel workers with one run after the other."""
    faster = alone.whole / beside.whole
    slower = median(beside.training) / median(alone.training)
    return Row(
        f"{what}: joblib with {workers} workers",
        f"one after the other, {alone.whole:.1f} s",
        f"{faster:.2f}x: {beside.whole:.1f} s",
        f"{FASTER:g}x",
        faster >= FASTER,
        f"from the first run's start to the last one's end {alone.running / beside.running:.2f}x; "
        f"training beside another run takes {slower:.2f} times as long",
    )


def evaluation(alone: Swept, what: str) -> Row:
    """Return evaluation's share of the runs."""
    share = alone.evaluation / alone.running
    return Row(
        f"{what}: evaluation",
        "the runs, from the first one's start to the last one's end",
        f"{share:.1%}",
        f"at most {EVALUATION:.0%}",
        share <= EVALUATION,
    )


if __name__ == "__main__":
    with one_line_errors():
        main()
