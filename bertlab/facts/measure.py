"""Times of self-attention with different numbers of heads: measured once into a CSV, from which the page is made.

Settings are measured in turn, and each counts with its median, so that a slow moment of the machine affects all alike.
"""

import csv
import io
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bertlab.config.errors import InputError
from bertlab.facts.built import normal, small
from bertlab.model.position import Position
from bertlab.model.sight import Sight

FILE = Path("facts", "head_cost.csv")
SIGHT = Sight(Position())  # no padding and no positions
WIDTH = 768  # of BERT-base
HEADS = (1, 2, 3, 4, 6, 8, 12, 16)  # those that divide it
KERNELS = {  # plain: the formula, with stored weights
    "plain": [SDPBackend.MATH],
    "fused": [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH],  # if torch has one for the device
}
SEQUENCES, LENGTH, REPEATS = 4, 256, 15


@dataclass(frozen=True)
class Measured:
    """Median seconds of a forward and backward pass, by heads and kernel, and the conditions."""

    torch: str
    threads: int
    sequences: int
    length: int
    repeats: int
    seconds: dict[tuple[int, str], float]

    def ratio(self, heads: int, kernel: str) -> float:
        """Return the time relative to one head with the same kernel."""
        return self.seconds[heads, kernel] / self.seconds[1, kernel]

    @property
    def description(self) -> str:
        """The conditions, in words."""
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"medians of {self.repeats} alternating repeats with torch {self.torch} on the CPU, {threads}"


def attention(heads: int) -> nn.Module:
    """Return self-attention of BERT-base's width, in 32 bits."""
    return small(layers=1, width=WIDTH, heads=heads).float().blocks[0].get_submodule("attention")


def states(sequences: int, length: int) -> Tensor:
    """Return random input states that require gradients."""
    return normal(sequences, length, WIDTH, name="states").float().requires_grad_()


def measure() -> Measured:
    """Time all settings in turn."""
    layers, state_BLD = {heads: attention(heads) for heads in HEADS}, states(SEQUENCES, LENGTH)
    taken: dict[tuple[int, str], list[float]] = {(heads, kernel): [] for heads in HEADS for kernel in KERNELS}
    for repeat in range(1 + REPEATS):
        for (heads, kernel), seconds in taken.items():
            passed = _time(layers[heads], state_BLD, kernel)
            if repeat:  # the first repetition is a warm-up
                seconds.append(passed)
    medians = {setting: median(seconds) for setting, seconds in taken.items()}
    version = torch.__version__.partition("+")[0]
    return Measured(version, torch.get_num_threads(), SEQUENCES, LENGTH, REPEATS, medians)


def _time(layer: nn.Module, state_BLD: Tensor, kernel: str) -> float:
    start = time.perf_counter()
    with sdpa_kernel(KERNELS[kernel]):
        torch.autograd.backward(layer(state_BLD, SIGHT).sum())
    return time.perf_counter() - start


def text(measured: Measured) -> str:
    """Write measured times as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("torch", "threads", "sequences", "length", "repeats", "heads", "kernel", "seconds"))
    how = (measured.torch, measured.threads, measured.sequences, measured.length, measured.repeats)
    writer.writerows((*how, *setting, f"{seconds:.6f}") for setting, seconds in measured.seconds.items())
    return file.getvalue()


def read(folder: Path) -> Measured:
    """Read measured times below `folder`. Raises InputError if there are none."""
    path = folder / FILE
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    except OSError as error:
        raise InputError(f"out must hold {FILE}, got {folder}; measure it with measure=true") from error
    seconds = {(int(row["heads"]), row["kernel"]): float(row["seconds"]) for row in rows}
    if seconds.keys() != {(heads, kernel) for heads in HEADS for kernel in KERNELS}:
        raise InputError(f"{path} must have a row for each number of heads and kernel; measure again with measure=true")
    threads, sequences, length, repeats = (int(rows[0][name]) for name in ("threads", "sequences", "length", "repeats"))
    return Measured(rows[0]["torch"], threads, sequences, length, repeats, seconds)
