"""Startup time: `python benchmarks/startup.py [times=7]`.

Whole commands are timed in fresh processes and in alternation, together with lower bounds: Python alone, and Python
with Hydra. The first training step is timed in a process that has trained before, as in a sweep: from the call of
`bertlab.sweep.run.train`, with SQLite tracking and its run opened in the store.
  times=7    of each
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import DEVNULL
from typing import Any
from unittest.mock import patch

from measure import Row, alternate, save

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors

DEFAULTS = {"times": "7"}
RUN = ("-m", "bertlab.run")
COMMANDS = {
    "python alone": ("-c", "pass"),
    "import hydra": ("-c", "import hydra"),
    "--help": (*RUN, "--help"),
    "a key that does not exist (mask.rat=1)": (*RUN, "mask.rat=1"),
    "an option that does not exist (mask=tokens)": (*RUN, "mask=tokens"),
    "a value that is impossible (mask.rate=1.5)": (*RUN, "mask.rate=1.5"),  # composes; fails when parts are built
}
BOUNDS = ("python alone", "import hydra")
COMMAND, STEP = 1.5, 0.5  # targets in seconds
MIB = 2**20


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    seconds: float  # wall time
    cpu: float  # seconds of all cores
    peak: float  # peak resident memory, MiB


def ended(words: Sequence[str], folder: str | Path) -> Ended:
    """Run Python with these words in a folder, discard its output, and return its cost."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], cwd=folder, stdout=DEVNULL, stderr=DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024  # unit of ru_maxrss in bytes
    return Ended(process.returncode, took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / MIB)


def main() -> None:
    """Measure and save."""
    times = int(parse(DEFAULTS, __doc__, sys.argv[1:])["times"])
    with tempfile.TemporaryDirectory() as folder:
        save([*commands(folder, times), first_step(folder, times)])


def commands(folder: str, times: int) -> list[Row]:
    """Return a row for each command; the lower bounds have no target."""
    cpu: dict[str, list[float]] = {name: [] for name in COMMANDS}

    def once(name: str) -> float:
        end = ended(COMMANDS[name], folder)
        assert end.code == (2 if "=" in name else 0), name
        cpu[name].append(end.cpu)
        return end.seconds

    found = alternate({name: lambda name=name: once(name) for name in COMMANDS}, times)
    took = {name: median(each) for name, each in found.items()}
    floor = ", ".join(f"{name} {took[name]:.2f} s" for name in BOUNDS)
    return [
        Row(
            f"from the command line: {name}",
            "" if name in BOUNDS else floor,
            f"{took[name]:.2f} s",
            "" if name in BOUNDS else f"{COMMAND:g} s",
            None if name in BOUNDS else took[name] <= COMMAND,
            f"{median(cpu[name]):.2f} s of CPU time; {min(found[name]):.2f} to {max(found[name]):.2f} s",
        )
        for name in COMMANDS
    ]


def first_step(folder: str, times: int) -> Row:
    """Time a warm process up to its first training step."""
    from bertlab.config.compose import load, resolved, typed
    from bertlab.sweep.run import train
    from bertlab.train.module import Pretraining

    starts: list[float] = []

    def stepping(self: Pretraining, *given: Any) -> Any:
        starts.append(time.perf_counter())
        return step(self, *given)

    step, took = Pretraining.training_step, []
    quiet = (f"tracking.uri=sqlite:///{folder}/mlflow.db", f"output_dir={folder}/outputs", "trainer.progress=false")
    for seed in range(times + 1):  # the first one is the warm-up
        words = [*quiet, "data=docs", "model=nano", "budget.tokens=4096", "evaluation.pseudo=0", f"seed={seed}"]
        config = load(words)
        starts.clear()
        with patch.object(Pretraining, "training_step", stepping):
            start = time.perf_counter()
            train(resolved(config), typed(config, words))
        took.append(starts[0] - start)
    cold, *warm = took
    return Row(
        "from the call of train to the first training step",
        "",
        f"{median(warm):.2f} s",
        f"{STEP:g} s",
        median(warm) <= STEP,
        f"{min(warm):.2f} to {max(warm):.2f} s over {times} runs; {cold:.2f} s for the first of the process",
    )


if __name__ == "__main__":
    with one_line_errors():
        main()
