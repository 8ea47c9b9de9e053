"""Cards: which GPUs a worker of a pool takes, where several are visible and every worker would take the first.

Ray and Slurm show a job its own cards by resources; a pool of processes on one machine does not.
"""

import multiprocessing
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bertlab.config.environment import CUDA

VISIBLE = "CUDA_VISIBLE_DEVICES"  # CUDA reads it once, when the first card is used
NUMBERED = re.compile(r"-(?:\d+:)*(\d+)$")  # the end of a process' name, as LokyProcess-3


def cards_of(worker: int, visible: Sequence[str], wanted: int = 1) -> list[str]:
    """Return the cards of worker `worker` (from 0): the next `wanted` ones, from the first again behind the last."""
    return [visible[(worker * wanted + place) % len(visible)] for place in range(min(wanted, len(visible)))]


def take_cards(trainer: Mapping[str, Any]) -> None:
    """Have this process see its own cards alone, if it is a worker of a pool that trains on GPUs.

    `trainer`: the section of the configuration. Call it before a card is used; the first call in a process decides.
    """
    worker, wanted = worker_number(), int(trainer.get("devices", 1))
    if worker is None or trainer["accelerator"] not in CUDA:
        return
    visible = visible_cards()
    if len(visible) > wanted:
        os.environ[VISIBLE] = ",".join(cards_of(worker, visible, wanted))


def worker_number() -> int | None:
    """Return the number of this worker in its pool, from 0; None where no pool made this process."""
    found = NUMBERED.search(multiprocessing.current_process().name)
    return int(found[1]) - 1 if found and multiprocessing.parent_process() else None


def visible_cards() -> list[str]:
    """Return the cards that this process may use, as CUDA names them."""
    if named := os.environ.get(VISIBLE):
        return named.split(",")
    import torch  # takes seconds

    return [str(number) for number in range(torch.cuda.device_count())]
