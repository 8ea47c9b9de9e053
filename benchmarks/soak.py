"""Kill runs, restart them, try hostile command lines, and count the damage: `python benchmarks/soak.py [kills=20]`.

Tiny runs on the generated corpus train in separate processes. Each is killed with SIGKILL several times and started
again: mostly at random steps between its first checkpoint and its end, sometimes before that, or while it ends and is
recorded. Then it is compared with the same run without kills: all bits of the weights, and every point in MLflow except
the times. The command lines are those of tests/config/test_hostile.py, with new random choices.
  kills=20    in all
  inputs=200  command lines
  seed=0      of the moments and of the command lines
"""

import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, cycle
from pathlib import Path

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # heavy imports once: processes are forked from this one
import numpy as np
from mlflow.tracking import MlflowClient

from bertlab.config.arguments import parse
from bertlab.config.compose import PACKAGE, load, resolved, typed
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.sweep.run import train
from bertlab.tracking.run_folder import MODEL, RECORD, WEIGHTS, RunFolder, checkpoints, run_folders_in

DEFAULTS = {"kills": "20", "inputs": "200", "seed": "0"}
STEPS = 40
TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", f"budget.tokens={STEPS * 4 * 35}"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "trainer.checkpoint_seconds=0"),
    *("model.layers=2", "model.width=16", "model.heads=1", "model.inner=16", "model.dropout=0.1"),
)
CLOCKS = ("perf/seconds", "perf/tokens_per_second")
STARTING, TRAINING, ENDING = "kills before the first checkpoint", "kills between it and the end", "kills at the end"
LIVES = ((TRAINING, TRAINING, ENDING), (STARTING, TRAINING, TRAINING, TRAINING))  # when runs are killed, in turn
HASTE = {STARTING: 1.0, TRAINING: 0.1, ENDING: 0.3}  # seconds: longest delay of a kill after its moment
Figures = dict[str, int]
Curves = dict[str, list[tuple[int, float]]]


def try_kills(kills: int, folder: Path, draw: np.random.Generator) -> Iterator[tuple[str, int]]:
    """Kill and compare. Yields counts; raises SystemExit for a run that fails by itself."""
    calm, rough = folder / "calm", folder / "rough"
    fell, places, lives = list[Counter[str]](), (STARTING, TRAINING, ENDING), cycle(LIVES)
    while (left := kills - sum(each.total() for each in fell)) > 0:
        alone = _child(calm, len(fell))
        fell.append(_hurt(rough, len(fell), next(lives)[:left], draw))
        _finish(alone)
    yield from ((place, sum(each[place] for each in fell)) for place in places)
    yield "starts that went on", (rough / "messages").read_text("utf-8").count("goes on after step") if fell else 0
    yield from compare(calm, rough, [each.total() for each in fell])


def _hurt(folder: Path, run: int, moments: Sequence[str], draw: np.random.Generator) -> Counter[str]:
    """Kill a run at some moments, then let it end; return the moments of the kills. Some kills may come too late."""
    fell = Counter[str]()
    for moment in moments:
        child, step = _child(folder, run), int(draw.integers(min(_reached(folder, run) + 1, STEPS), STEPS + 1))
        while not (ended := _ended(child)) and not _has_come(moment, step, folder, run):
            time.sleep(0.002)
        time.sleep(draw.uniform(0, HASTE[moment]))
        if ended or _ended(child):
            return fell
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        fell[_place(folder, run)] += 1
    _finish(_child(folder, run))
    return fell


def _child(folder: Path, run: int) -> int:
    """Start a training process, and return its id."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        own = [f"tracking.uri={_uri(folder)}", f"tracking.experiment={folder.name}", f"output_dir={folder}/{run}"]
        words = [*TINY, f"seed={run}", *own]
        logging.basicConfig(filename=folder / "messages", level=logging.INFO, force=True)
        code = 1
        try:
            config = load(words)
            train(resolved(config), typed(config, words))
            code = 0
        except BaseException as error:  # the process must end here, whatever happens
            print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        os._exit(code)
    return child


def _uri(folder: Path) -> str:
    return f"sqlite:///{folder.parent}/mlflow.db"


def _cell(folder: Path, run: int) -> RunFolder | None:
    return next(iter(run_folders_in(folder / str(run))), None)


def _reached(folder: Path, run: int) -> int:
    """Return the step of a run's newest checkpoint, 0 before the first."""
    cell = _cell(folder, run)
    there = checkpoints(cell.folder) if cell else []
    return int(there[-1].stem.partition("-")[2]) if there else 0


def _place(folder: Path, run: int) -> str:
    """Return the stage of a run."""
    cell = _cell(folder, run)
    if cell and ((cell.folder / MODEL).exists() or (cell.folder / RECORD).exists()):
        return ENDING
    return TRAINING if _reached(folder, run) else STARTING


def _has_come(moment: str, step: int, folder: Path, run: int) -> bool:
    place = _place(folder, run)
    return moment == STARTING or place == ENDING or (moment == TRAINING and _reached(folder, run) >= step)


def _ended(child: int) -> bool:
    """Return whether a process has ended by itself. Raises SystemExit if it failed."""
    ended, status = os.waitpid(child, os.WNOHANG)
    if status:
        raise SystemExit(1)
    return bool(ended)


def _finish(child: int) -> None:
    if os.waitpid(child, 0)[1]:
        raise SystemExit(1)


def compare(calm: Path, rough: Path, kills: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Compare runs without kills with the same runs killed this often. Yields counts."""
    records = [
        [cell and cell.record() for cell in (_cell(folder, run) for run in range(len(kills)))]
        for folder in (calm, rough)
    ]
    same = [
        bool(one and other and one["files"].get(WEIGHTS) == other["files"].get(WEIGHTS))
        for one, other in zip(*records, strict=True)
    ]
    left_alone, disturbed = (_curves(folder) if kills else {} for folder in (calm, rough))
    lost = doubled = changed = 0
    for key, (curves, *_) in left_alone.items():
        other = disturbed.get(key, [{}])[0]
        for name, curve in curves.items():
            found = Counter(step for step, _ in other.get(name, []))
            lost += sum(step not in found for step, _ in curve)
            doubled += sum(times - 1 for times in found.values())
            changed += name not in CLOCKS and dict(other.get(name, [])) != dict(curve)
    yield "kills survived", sum(times for times, well in zip(kills, same, strict=True) if well)
    yield "cells", len(kills)
    yield "cells lost", sum(record is None for record in records[1])
    yield "cells repeated", sum(len(found) - 1 for found in disturbed.values())
    yield "cells with other weights", sum(not well for well in same)
    yield from (("metrics lost", lost), ("metrics doubled", doubled), ("metrics changed", changed))


def _curves(folder: Path) -> dict[str, list[Curves]]:
    """Return the curves of every run in a store, by key; an unfinished run has none, which counts as a loss."""
    client = MlflowClient(_uri(folder))
    found: dict[str, list[Curves]] = {}
    experiment = client.get_experiment_by_name(folder.name)
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id]):
        names = run.data.metrics if run.info.status == "FINISHED" else ()
        histories = {name: client.get_metric_history(run.info.run_id, name) for name in names}
        curves = {name: [(point.step, point.value) for point in history] for name, history in histories.items()}
        found.setdefault(run.data.tags["bertlab.key"], []).append(curves)
    return found


def try_inputs(inputs: int, folder: Path, seed: int) -> Figures:
    """Pass hostile command lines to the entry point, and count those that give neither a run nor one error line."""
    figures = {"inputs tried": 0, "inputs neither run nor refused": 0, "tracebacks seen": 0}
    if not inputs:
        return figures
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    sys.path.append(str(PACKAGE.parent))
    from tests.config.test_hostile import ORACLE, WORDS, Entry

    entry = Entry(folder)

    @seeded(seed)
    @settings(
        max_examples=inputs,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(WORDS, min_size=1, max_size=3))
    def try_words(some: list[list[str]]) -> None:
        figures["inputs tried"] += 1
        words = list(chain.from_iterable(some))
        try:
            entry.try_words([*ORACLE, *words])
        except AssertionError as error:
            figures["inputs neither run nor refused"] += 1
            figures["tracebacks seen"] += "Traceback" in str(error)
            print(f"{words}: {error}"[:2000], file=sys.stderr)  # noqa: T201

    try_words()
    entry.process.kill()
    entry.process.communicate()
    return figures


def faults(figures: Figures, kills: int) -> list[str]:
    """Return the names of wrong counts."""
    rest = {"kills survived", "starts that went on", "cells", "inputs tried", STARTING, TRAINING, ENDING}
    found = [name for name, number in figures.items() if name not in rest and number]
    return found + ["kills survived"] * (figures["kills survived"] != kills)


def main() -> None:
    """Enter from the command line."""
    with one_line_errors(), tempfile.TemporaryDirectory() as folder:
        given = parse(DEFAULTS, __doc__, sys.argv[1:])
        for name, value in given.items():
            if not value.isdecimal():
                raise InputError(f"{name} must be a whole number, got {value}; choose for example {DEFAULTS[name]}")
        kills, inputs, seed = (int(given[name]) for name in DEFAULTS)
        figures: Figures = {}
        (Path(folder) / "hostile").mkdir()
        figures |= try_kills(kills, Path(folder), np.random.default_rng(seed))
        figures |= try_inputs(inputs, Path(folder) / "hostile", seed)
        for name, number in figures.items():
            print(f"{name}: {number}")  # noqa: T201
    sys.exit(bool(faults(figures, kills)))


if __name__ == "__main__":
    main()
