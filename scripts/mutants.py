"""Do the tests find faults? `python -m scripts.mutants` makes faults, one at a time, and runs tests on each.

A fault is made in a copy of the checkout, in a temporary folder. It is found if its tests fail; all these tests are in
the default suite. Exit code 1: a fault was not found, or a test fails without a fault.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("bertlab", "conf", "sweeps", "hydra_plugins", "scripts", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Fault:
    """A fault: the old code, the wrong new code, and the tests that must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


FAULTS = (
    Fault("a wrong share of random tokens", "bertlab/mask/corrupt.py", "< mask + random)", "< mask)", "tests/mask"),
    Fault(
        "a padding token is predicted",
        "bertlab/mask/corrupt.py",
        "ids_BL >= vocab",
        "ids_BL >= 0 * vocab",
        "tests/mask",
    ),
    Fault(
        "a leak of the next token",
        "bertlab/model/visibility.py",
        ").tril()",
        ").tril(1)",
        "tests/model/test_visibility.py",
    ),
    Fault(
        "the schedule is one step off", "bertlab/optim/schedule.py", "(step + 1) / rise", "step / rise", "tests/optim"
    ),
    Fault(
        "norms decay",
        "bertlab/optim/optimizer.py",
        'ndim < 2], "weight_decay": 0.0',
        'ndim < 2], "weight_decay": weight_decay',
        "tests/optim",
    ),
    Fault(
        "pair labels are swapped",
        "bertlab/data/pairs/nsp.py",
        "RANDOM, FOLLOWS))",
        "FOLLOWS, RANDOM))",
        "tests/data/pairs",
    ),
    Fault(
        "a stream forgets its counter",
        "bertlab/streams.py",
        "/{name}/{counter}",
        "/{name}/{0 * counter}",
        "tests/test_streams.py",
    ),
    Fault(
        "the sign of a verdict is swapped",
        "bertlab/stats/verdict.py",
        "if lower_is_better else",
        "if not lower_is_better else",
        "tests/stats/test_verdict.py",
    ),
    Fault(
        "a point is lost",
        "bertlab/tracking/metrics.py",
        "self.points.append(point)",
        "self.points.extend([])",
        "tests/tracking/test_metrics.py",
    ),
    Fault(
        "a run goes on without its optimiser",
        "bertlab/train/state.py",
        "    if state:\n",
        "    if not state:\n",
        "tests/train/test_state.py",
    ),
    Fault(
        "the mask rate is no part of a run's key",
        "bertlab/identity/key.py",
        '    "output_dir",\n',
        '    "output_dir",\n    "mask.rate",\n',
        "tests/identity/test_key.py",
    ),
)


def noticed(fault: Fault, folder: Path) -> bool:
    """Make a fault in the copy, run its tests, and undo it. Return whether one of them failed."""
    path = folder / fault.file
    text = path.read_text("utf-8")
    if text.count(fault.old) < 1:
        raise SystemExit(f"{fault.file} must hold {fault.old!r} for {fault.name}, got none; write the fault again")
    path.write_text(text.replace(fault.old, fault.new, 1), "utf-8")
    try:
        return not passes([fault.tests], folder)
    finally:
        path.write_text(text, "utf-8")


def passes(tests: Sequence[str], folder: Path) -> bool:
    """Run tests in the copy until one fails; return whether all passed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def main() -> None:
    """Print which faults are found."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        if not passes(sorted({fault.tests for fault in FAULTS}), folder):
            raise SystemExit("a test fails without any fault; fix that first")
        found = {fault.name: noticed(fault, folder) for fault in FAULTS}
    for name, seen in found.items():
        print(f"{'noticed' if seen else 'MISSED':<8} {name}")  # noqa: T201
    raise SystemExit(0 if all(found.values()) else 1)


if __name__ == "__main__":
    main()
