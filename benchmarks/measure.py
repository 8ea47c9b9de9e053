"""What all benchmarks share: contestants in alternation, medians of ratios, and rows of one table.

Machines are noisy and differ: a number is meaningful only with another one from the same minutes on the same machine.
So every contestant runs in every round, and the reported number is the median over rounds of their ratio.
"""

import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, the comparison, the result and the target."""

    what: str
    against: str
    measured: str
    target: str
    reached: bool | None  # None: no target
    detail: str = ""


def alternate(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every contestant once per round, each first in turn; return the results of each, by round."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for number in range(rounds):
        for name in order if number % 2 == 0 else reversed(order):
            found[name].append(contestants[name]())
    return found


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median over rounds of over / under."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def spread(over: Sequence[float], under: Sequence[float]) -> str:
    """Return the smallest and the largest ratio of a round, as text."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return f"{min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} rounds"


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of `work`."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def save(rows: Sequence[Row], ending: str = "", **about: str) -> None:
    """Print and save the rows."""
    keep(rows, ending, **about)
    show(rows)


def show(rows: Sequence[Row]) -> None:
    """Print the rows."""
    for row in rows:
        print(f"{row.what} | {row.against} | {row.measured} | {row.target} | {row.detail}", flush=True)  # noqa: T201


def keep(rows: Sequence[Row], ending: str = "", **about: str) -> None:
    """Save the rows with their command and machine for benchmarks/README.md (benchmarks/table.py).

    The file has the name of the benchmark, plus an `ending` if the benchmark has several files.
    """
    name = Path(sys.argv[0]).stem
    command = " ".join(["python", f"benchmarks/{name}.py", *sys.argv[1:]])
    kept = {"command": command, "measured": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), **about}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({**kept, "rows": [asdict(row) for row in rows]}, indent=1)
    (RESULTS / f"{name}{ending}.json").write_text(text + "\n", "utf-8")


def machine() -> str:
    """Return GPU, processor, number of cores for this process, memory and versions."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    card = f"{torch.cuda.get_device_name()}; " if torch.cuda.is_available() else ""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{card}{_processor()}, {cores} cores, {gib:.0f} GiB; {versions}"


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()
