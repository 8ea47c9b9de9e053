"""How cost grows: `python benchmarks/growth.py [rounds=3]`.

Each row doubles one quantity and fits the exponent b of cost ~ size^b, the slope of log(cost) on log(size). A linear
cost has 1, as for tokens and for runs in the store. A token's cost does not depend on the length, except in attention,
whose part grows linearly: 0 to 1. In the width it grows with exponent 1 (norms, activations, the MLM head) to 2 (the
matrices of the blocks). The batch has 4,096 tokens at any length, heads have 32 components at any width.
  tokens=200000    of the smallest run
  length=32,64,128,256
  width=64,128,256
  runs=250,500,1000,2000
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from measure import Row, alternate, save, seconds
from store import copy_run, found_in, make_store
from training import Ours

from bertlab.config.arguments import parse
from bertlab.config.compose import load, resolved, typed
from bertlab.config.error_messages import one_line_errors
from bertlab.sweep.run import prepare_job, train

DEFAULTS = {
    "rounds": "3",
    "tokens": "200000",
    "length": "32,64,128,256",
    "width": "64,128,256",
    "runs": "250,500,1000,2000",
}
TOKENS = 4096  # tokens of a batch
STEPS = 15  # timed steps per round
NANO = ("model=nano", "data=docs", "trainer.progress=false")
WANTED, LOOKS = 100, 3


def main() -> None:
    """Measure and save."""
    given = parse(DEFAULTS, __doc__, sys.argv[1:])
    rounds = int(given["rounds"])
    length, width, runs = ([int(size) for size in given[name].split(",")] for name in ("length", "width", "runs"))
    with tempfile.TemporaryDirectory() as folder:
        costs = {
            ("a run", "tokens of its budget", "1, and a fixed cost", "s"): of_budget(
                folder, int(given["tokens"]), rounds
            ),
            ("a token", "tokens of a sequence", "0 to 1", "us"): of_step(length, rounds, long),
            ("a token", "width of the model", "1 to 2", "us"): of_step(width, rounds, wide),
            ("finding finished runs", "runs in the store", "1", "s"): of_store(Path(folder), runs),
        }
    save([row(*what, cost) for what, cost in costs.items()])


def row(what: str, against: str, expected: str, unit: str, cost: Mapping[int, float]) -> Row:
    """Return the row of one quantity."""
    scale = {"s": 1.0, "us": 1e6}[unit]
    points = ", ".join(f"{size:,}: {scale * took:.3g} {unit}" for size, took in cost.items())
    return Row(f"cost of {what}", against, f"exponent {exponent(cost):.2f}", f"expected {expected}", None, points)


def exponent(cost: Mapping[int, float]) -> float:
    """Return b of cost ~ size^b: the least-squares slope in logarithms."""
    slope, _ = np.polyfit(np.log(list(cost)), np.log(list(cost.values())), 1)
    return float(slope)


def of_budget(folder: str, tokens: int, rounds: int) -> dict[int, float]:
    """Return the seconds of a whole run, for budgets that double."""

    def once(budget: int, seed: int) -> float:
        own = (f"budget.tokens={budget}", f"seed={seed}", f"output_dir={folder}/outputs")
        words = [*NANO, *own, f"tracking.uri=sqlite:///{folder}/mlflow.db"]
        config = load(words)
        return seconds(lambda: train(resolved(config), typed(config, words)))

    once(2 * TOKENS, 0)  # some things are slow the first time
    seeds = iter(range(10**6))  # a finished run is not repeated
    return medians(
        {factor * tokens: lambda budget=factor * tokens: once(budget, next(seeds)) for factor in (1, 2, 4)}, rounds
    )


def of_step(sizes: Sequence[int], rounds: int, words: Callable[[int], Sequence[str]]) -> dict[int, float]:
    """Return the training seconds per token, for each size."""
    ours = {size: Ours(prepare_job(resolved(load([*NANO, "tracking.offline=true", *words(size)])))) for size in sizes}
    paces = medians({size: lambda one=one: one.pace(STEPS) for size, one in ours.items()}, rounds)
    return {size: pace / TOKENS for size, pace in paces.items()}


def long(length: int) -> tuple[str, ...]:
    """Return the overrides for a length."""
    return f"batch.length={length}", f"batch.size={TOKENS // length}"


def wide(width: int) -> tuple[str, ...]:
    """Return the overrides for a width."""
    return *long(128), f"model.width={width}", f"model.inner={4 * width}", f"model.heads={width // 32}"


def of_store(folder: Path, sizes: Sequence[int]) -> dict[int, float]:
    """Return the seconds of a search for finished runs in stores of these sizes, without the folders of the runs."""

    def look(own: Path, size: int) -> float:
        tracker, keys = make_store(own, points=20), copy_run(own, size)
        return median(found_in(tracker, own / "elsewhere", keys[:: len(keys) // WANTED][:WANTED], LOOKS))

    return {size: look(folder / str(size), size) for size in sizes}


def medians(contestants: Mapping[int, Callable[[], float]], rounds: int) -> dict[int, float]:
    """Return the median result of each, run in alternation."""
    found = alternate({str(size): contestant for size, contestant in contestants.items()}, rounds)
    return {size: median(found[str(size)]) for size in contestants}


if __name__ == "__main__":
    with one_line_errors():
        main()
