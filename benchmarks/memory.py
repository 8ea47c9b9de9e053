"""Memory: `python benchmarks/memory.py [tokens=300000]`. Linux: it reads /proc/self/statm.

First, the peak of a whole process that trains a nano run, tracked in SQLite, with its token arrays in the cache.
Second, what opening token arrays adds to a process, which maps them: nothing when they are opened, and pages of the
file when they are read. The system shares these pages among processes and may drop them. Third, the page faults of a
training step, with freed memory kept for later steps (`keep_freed_memory`) and without.
  tokens=300000   of the run
  steps=200       whose page faults are counted, on full sequences
  mib=256         of each of two token stores
"""

import json
import os
import resource
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from measure import Row, save
from startup import MIB, RUN, ended
from training import Case, Clock, Ours, prepared

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.data.store import read_store
from bertlab.train import fit

DEFAULTS = {"tokens": "300000", "mib": "256", "steps": "200"}
PEAK, GROWTH, FETCHED = 1200.0, 0.05, 0.1  # targets: MB (10^6 bytes), share of the stores, share of faults
STATM = Path("/proc/self/statm")


def main() -> None:
    """Measure and save."""
    arguments = parse(DEFAULTS, __doc__, sys.argv[1:])
    if not STATM.exists():
        raise InputError(f"this benchmark must find {STATM}, got {sys.platform}; run it on Linux")
    with tempfile.TemporaryDirectory() as folder:
        rows = [*opened(Path(folder), int(arguments["mib"])), trained(folder, int(arguments["tokens"]))]
    save([*rows, fetched(int(arguments["steps"]))])


def trained(folder: str, tokens: int) -> Row:
    """Measure the peak of a run."""
    own = (f"budget.tokens={tokens}", f"tracking.uri=sqlite:///{folder}/mlflow.db", f"output_dir={folder}/outputs")
    end = ended((*RUN, "model=nano", "data=docs", "trainer.progress=false", *own), folder)
    assert end.code == 0
    peak = end.peak * MIB / 1e6
    bare = ended(("-c", "import torch, pytorch_lightning, mlflow"), folder).peak * MIB / 1e6
    return Row(
        f"resident memory of a nano run of {tokens:,} tokens, at most",
        "",
        f"{peak:,.0f} MB",
        f"{PEAK:,.0f} MB",
        peak <= PEAK,
        f"{bare:,.0f} MB of them after import torch, pytorch_lightning, mlflow",
    )


def opened(folder: Path, mib: int) -> list[Row]:
    """Measure what two token stores add to this process when opened and when read completely."""
    for name in ("one", "other"):
        write_store(folder / name, mib)
    before = resident()
    stores = [read_store(folder / name) for name in ("one", "other")]
    after = resident()
    read = sum(int(store.splits["train"].ids.max()) for store in stores)
    assert read > 0
    at_last = resident()
    size = 2 * mib
    own = {"opened": sum(after) - sum(before), "read from end to end, apart from shared pages": at_last[0] - before[0]}
    return [
        Row(
            f"two token stores of {mib} MiB, {name}",
            f"their size, {size} MiB",
            f"{grown:.1f} MiB",
            f"at most {GROWTH:.0%}",
            grown <= GROWTH * size,
            f"{at_last[1] - before[1]:.0f} MiB of shared pages" if "read" in name else "",
        )
        for name, grown in own.items()
    ]


def fetched(steps: int) -> Row:
    """Compare the page faults of a step when the process keeps freed memory and when it does not."""
    kept, anew = (statistics.median(faults(steps, keep)) for keep in (True, False))
    return Row(
        "page faults of a training step of nano, 32 x 128, all positions real",
        f"what a step frees goes back to the system, {anew:,.0f}",
        f"{kept:,.0f}",
        f"at most {FETCHED:.0%}",
        kept <= FETCHED * anew,
        f"medians over {steps} steps",
    )


def faults(steps: int, keep: bool) -> list[int]:
    """Return the minor page faults of each step, counted in a separate process: the setting lasts until its end."""
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
        return elsewhere.submit(_faults, steps, keep).result()


def _faults(steps: int, keep: bool) -> list[int]:
    torch.set_num_threads(1)
    if not keep:
        fit.keep_freed_memory = lambda: None
    ours, seen = Ours(prepared(Case.read("nano/none/32x128"))), list[int]()
    tick = Clock.tick

    def count(self: Clock) -> None:
        seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        tick(self)

    Clock.tick = count  # type: ignore[method-assign]
    ours.pace(steps)
    return [after - before for before, after in pairwise(seen)]


def write_store(folder: Path, mib: int) -> None:
    """Write a store of one long split."""
    folder.mkdir()
    tokens = mib * MIB // 2
    block = np.random.default_rng(0).integers(5, 8192, MIB).astype("<u2")
    with (folder / "train.ids").open("wb") as file:
        for _ in range(tokens // MIB):
            block.tofile(file)
    np.array([0, tokens], "<i8").tofile(folder / "train.sentences")
    np.array([0, 1], "<i8").tofile(folder / "train.documents")
    np.zeros(8192, "<i8").tofile(folder / "counts")
    about = {"dtype": "<u2", "splits": ["train"], "facts": {}, "fingerprint": folder.name}
    (folder / "store.json").write_text(json.dumps(about), "utf-8")


def resident() -> tuple[float, float]:
    """Return the resident memory of this process in MiB: its own, and pages of files."""
    _, whole, shared, *_ = map(int, STATM.read_text("utf-8").split())
    page = os.sysconf("SC_PAGE_SIZE") / MIB
    return (whole - shared) * page, shared * page


if __name__ == "__main__":
    with one_line_errors():
        main()
