"""GPUs of the workers of a pool: without this, every worker would take the first visible GPU.

Ray and Slurm assign GPUs to a job; a process pool on one machine does not.
"""

import multiprocessing
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bertlab.config.environment import CUDA

VISIBLE = "CUDA_VISIBLE_DEVICES"  # CUDA reads it once, at the first use of a GPU
NUMBERED = re.compile(r"-(?:\d+:)*(\d+)$")  # end of a process name, for example LokyProcess-3


def cards_of(worker: int, visible: Sequence[str], wanted: int = 1) -> list[str]:
    """Return the GPUs of worker `worker` (from 0): the next `wanted` ones; after the last GPU come the first again."""
    return [visible[(worker * wanted + place) % len(visible)] for place in range(min(wanted, len(visible)))]


def take_cards(trainer: Mapping[str, Any]) -> None:
    """Let this process see only its own GPUs, if it is a pool worker that trains on GPUs.

    `trainer`: the section of the configuration. Call it before the first use of a GPU; later calls have no effect.
    """
    worker, wanted = worker_number(), int(trainer.get("devices", 1))
    if worker is None or trainer["accelerator"] not in CUDA:
        return
    visible = visible_cards()
    if len(visible) > wanted:
        os.environ[VISIBLE] = ",".join(cards_of(worker, visible, wanted))


def worker_number() -> int | None:
    """Return the number of this worker in its pool, from 0; None outside a pool."""
    found = NUMBERED.search(multiprocessing.current_process().name)
    return int(found[1]) - 1 if found and multiprocessing.parent_process() else None


def visible_cards() -> list[str]:
    """Return the GPUs that this process may use, by CUDA's names."""
    if named := os.environ.get(VISIBLE):
        return named.split(",")
    import torch  # this import takes seconds

    return [str(number) for number in range(torch.cuda.device_count())]
