"""The cost of denormals when attention is saturated: `python benchmarks/saturated.py [rounds=5 steps=20]`.

Very large scores give attention weights, and then gradients, below the smallest normal float32, 1e-38. Many processors
are slow with such numbers. Training treats them as 0 (`bertlab.train.fit`). Here the same steps are timed with and
without that, on a nano model at its start and on one with undivided scores, matrices with standard deviation `std` at
the start, and heads of 256 components.
  rounds=5    in alternation
  steps=20    timed in a round
  std=0.4     of the matrices of the saturated model
"""

import sys
from unittest.mock import patch

import torch
from measure import Row, alternate, ratio, save, spread
from training import Ours

from bertlab.config.arguments import parse
from bertlab.config.compose import load, resolved
from bertlab.config.error_messages import one_line_errors
from bertlab.sweep.run import prepare_job

DEFAULTS = {"rounds": "5", "steps": "20", "std": "0.4"}
NANO = ("model=nano", "data=docs", "trainer.progress=false", "tracking.offline=true")


def main() -> None:
    """Measure and save."""
    given = parse(DEFAULTS, __doc__, sys.argv[1:])
    saturated = ("model/scale=one", "model.head_width=256", f"model.dense_std={given['std']}")
    models = {"nano": (), "nano, attention saturated": saturated}
    rows = [row(name, words, int(given["rounds"]), int(given["steps"])) for name, words in models.items()]
    save(rows, notes="1 thread of torch")


def row(name: str, words: tuple[str, ...], rounds: int, steps: int) -> Row:
    """Return the row of one model."""
    ours = Ours(prepare_job(resolved(load([*NANO, *words]))))

    def kept() -> float:
        with patch.object(torch, "set_flush_denormal"):
            return ours.pace(steps)

    took = alternate({"flushed": lambda: ours.pace(steps), "kept": kept}, rounds)
    times = ratio(took["kept"], took["flushed"])
    return Row(
        f"training, {name}, denormals taken for 0",
        "the same with denormals",
        f"{times:.2f}x",
        "",
        None,
        spread(took["kept"], took["flushed"]),
    )


if __name__ == "__main__":
    with one_line_errors():
        main()
