"""Print the cost of tracking for a run: `python benchmarks/tracking.py [pairs=6] [tokens=400000] [uri=URI]`.

The same nano model is trained on the generated corpus with a store and offline, in alternation and in one process; the
two runs of a pair are compared. Training is timed from its first to its last step, including evaluations (5 %), which
both have. CPU time of the training thread is the cost of steps even if other programs use the cores. CPU time of the
process includes the upload thread. Wall time includes everything, also other programs.
  pairs=6         of runs
  tokens=400000   of each run; about 15 seconds on one core
  uri=URI         an MLflow store; default: a new SQLite file
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from unittest.mock import patch

from measure import Row, save

from bertlab.config.arguments import parse
from bertlab.config.compose import load, resolved, typed
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.sweep.run import train
from bertlab.tracking.run_log import RunLog
from bertlab.train.fit import Hardware

MOST = 0.01  # target
DEFAULTS: dict[str, Any] = {"pairs": "6", "tokens": "400000", "uri": None}
COMMON = ("data=oracle", "data.documents=4000", "model=nano", "trainer.threads=1", "trainer.progress=false")
CLOCKS: Mapping[str, Callable[[], float]] = {
    "CPU time of the training thread": time.thread_time,
    "CPU time of the process": time.process_time,
    "wall time": time.monotonic,
}
Times = dict[str, float]  # seconds by clock


@dataclass
class Timed:
    """Times of one run."""

    whole: Times = field(default_factory=dict)
    training: Times = field(default_factory=dict)
    logging: Times = field(default_factory=dict)  # the part of training that passes numbers to the upload thread


def timed(call: Callable[..., Any], into: Times) -> Callable[..., Any]:
    """Return the function with a timer that adds to `into`."""

    def watched(*given: Any, **named: Any) -> Any:
        started = {name: clock() for name, clock in CLOCKS.items()}
        try:
            return call(*given, **named)
        finally:
            for name, clock in CLOCKS.items():
                into[name] = into.get(name, 0.0) + clock() - started[name]

    return watched


def run_once(words: Sequence[str]) -> Timed:
    """Train one run and time it."""
    took, config = Timed(), load(words)
    fit, log = timed(Hardware.fit, took.training), timed(RunLog.log, took.logging)
    with patch.object(Hardware, "fit", fit), patch.object(RunLog, "log", log):
        timed(train, took.whole)(resolved(config), typed(config, words))
    return took


def compare(pairs: int, tokens: int, uri: str) -> Iterator[tuple[Timed, Timed]]:
    """Yield the times of each pair: with the store, and offline; the order alternates."""
    with tempfile.TemporaryDirectory() as folder:
        store = uri or f"sqlite:///{folder}/mlflow.db"

        def once(seed: int, offline: bool, tokens: int = tokens) -> Timed:
            own = [f"seed={seed}", f"output_dir={folder}/{offline}", f"tracking.offline={str(offline).lower()}"]
            return run_once([*COMMON, f"budget.tokens={tokens}", f"tracking.uri={store}", *own])

        for offline in (False, True):
            once(pairs, offline, tokens // 20)  # some things are slow the first time
        for pair in range(pairs):  # a new seed per pair: a finished run is not repeated
            tracked_first = pair % 2 == 0
            one, other = once(pair, not tracked_first), once(pair, tracked_first)
            yield (one, other) if tracked_first else (other, one)


def table(pairs: Sequence[tuple[Timed, Timed]]) -> Iterator[str]:
    """Yield a markdown table: medians over pairs, and the range of the ratio."""
    yield "| part | clock | with a store (s) | offline (s) | ratio, median | ratio, range |"
    yield "|---|---|---:|---:|---:|---:|"
    for part, words in {"training": "training steps", "whole": "whole run"}.items():
        for clock in CLOCKS:
            took = [(getattr(one, part)[clock], getattr(other, part)[clock]) for one, other in pairs]
            ratios = [one / other for one, other in took]
            tracked, offline = (median(column) for column in zip(*took, strict=True))
            spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
            yield f"| {words} | {clock} | {tracked:.2f} | {offline:.2f} | {median(ratios):.4f} | {spread} |"


def row(pairs: Sequence[tuple[Timed, Timed]]) -> Row:
    """Return the cost of tracking in a training step: passing numbers on, and the threads that send them.

    Both are measured inside the tracked runs, since two runs of one minute differ by more than 1 %.
    """
    training, process = list(CLOCKS)[:2]
    handed = median(one.logging[training] / one.training[training] for one, _ in pairs)
    beside = median(one.training[process] / one.training[training] - 1 for one, _ in pairs)
    alone = median(
        (other.training[process] - other.training[training]) / other.training[training] for _, other in pairs
    )
    share = handed + max(beside - alone, 0.0)
    ratios = [one.training[process] / other.training[process] for one, other in pairs]
    return Row(
        "tracking, CPU time of a training step",
        "the same run with tracking off",
        f"{share:.2%}: {handed:.2%} handing over, {beside:.2%} in other threads ({alone:.2%} without tracking)",
        "at most 1 %",
        share <= MOST,
        f"of whole runs {median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f} over {len(ratios)} pairs",
    )


def main() -> None:
    """Time and print."""
    with one_line_errors():
        given = parse(DEFAULTS, __doc__, sys.argv[1:])
        for name in ("pairs", "tokens"):
            if not str(given[name]).isdecimal() or int(given[name]) < 1:
                raise InputError(f"{name} must be a whole number above 0, got {given[name]}; try {DEFAULTS[name]}")
        took = list(compare(int(given["pairs"]), int(given["tokens"]), given["uri"] or ""))
        print("\n".join(table(took)))  # noqa: T201
        save([row(took)])


if __name__ == "__main__":
    main()
