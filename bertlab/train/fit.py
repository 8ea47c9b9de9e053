"""Fitting: a module and its batches -> a trained module, with Lightning's trainer."""

import ctypes
import logging
import os
import re
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.accelerators import CUDAAccelerator

from bertlab.batch.batches import Batch
from bertlab.config.bounds import bounded
from bertlab.config.environment import usable_cores
from bertlab.config.errors import InputError, own
from bertlab.train.module import Pretraining
from bertlab.train.precision import RoundedProducts
from bertlab.train.progress import ProgressLine
from bertlab.train.recorder import Recorder
from bertlab.train.stopping import Stopping

CLUSTER = re.compile(  # variables by which Lightning guesses a cluster, a rank or arguments of its trainer
    r"PL_\w+|SLURM_\w+|TORCHELASTIC_\w+|KUBERNETES_\w+|LSB_\w+|JSM_\w+|OMPI_\w+|MASTER_(ADDR|PORT)|STANDALONE_PORT|"
    r"(WORLD_SIZE|(LOCAL_|GROUP_|NODE_)?RANK)"
)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h: bytes from which freed memory goes back to the system


class Hardware:
    """Where and how a run trains; none of it is part of a run's identity but `precision` and `clip`."""

    @bounded
    def __init__(
        self,
        *,
        accelerator: str,
        threads: int | None,
        precision: str,
        clip: float,
        points: int,
        checkpoint_seconds: float,
        progress: bool,
        compile: bool | str,
        ahead: int,
    ) -> None:
        self.accelerator, self.threads, self.precision, self.clip = accelerator, threads, precision, clip
        self.points, self.checkpoint_seconds = points, checkpoint_seconds
        self.progress, self.compile, self.ahead = progress, compile, ahead

    def check(self) -> None:
        """Raise InputError for hardware that this machine lacks."""
        try:
            with _alone():
                self._trainer(1, [], Path())
        except (ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
            raise InputError(
                f"{own('accelerator')} must be one that works here, got {self.accelerator}: {str(error).rstrip('.')}; "
                "choose for example cpu"
            ) from error

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder, folder: Path) -> None:
        """Train for the planned steps, or those that are left of them.

        `folder` is the run's own: Lightning looks there, and nowhere else, for a checkpoint that a cluster left.
        """
        torch.set_num_threads(usable_cores() if self.threads is None else self.threads)
        bar: list[pl.Callback] = [ProgressLine(recorder)] if self.progress else []
        steps = range(module.first, recorder.plan.total)
        if not steps:
            return
        if self.compile:
            module.compile_pass("default" if self.compile is True else str(self.compile))
        keep_freed_memory()
        with _alone(), _interruptible(), _denormals_as_zero():
            trainer = self._trainer(len(steps), [recorder, Stopping(recorder), *bar], folder)
            on_cuda = isinstance(trainer.accelerator, CUDAAccelerator)
            tf32 = on_cuda and self.precision != "32-true"  # for what is not bf16, such as evaluation
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
            trainer.fit(module, train_dataloaders=Steps(batches, steps, self.ahead, pinned=on_cuda))

    def _trainer(self, steps: int, callbacks: list[pl.Callback], folder: Path) -> pl.Trainer:
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
        rounds = self.precision == RoundedProducts.precision
        return pl.Trainer(
            accelerator=self.accelerator,
            devices=1,
            precision=None if rounds else self.precision,  # type: ignore[arg-type]
            plugins=[LightningEnvironment(), *([RoundedProducts()] if rounds else [])],
            default_root_dir=folder,
            max_steps=steps,
            max_epochs=1,
            gradient_clip_val=self.clip or None,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,  # it counts epochs; ours is a callback
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let an interrupt be one: Lightning turns it into SystemExit(1) and has the process ignore all that follow."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def _denormals_as_zero() -> Iterator[None]:
    """Have the processor take numbers below 1e-38 for 0: saturated attention is full of them, and they are slow."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:  # numpy warns where there are none
        torch.set_flush_denormal(False)


def keep_freed_memory() -> None:
    """Have the process keep what a step frees for the next step: to fetch tens of MB anew may cost a tenth of it.

    How much of it is found again is up to the C library (`benchmarks/memory.py` counts the page faults of a step).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None  # glibc has it
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_THRESHOLD, 2**30)


@contextmanager
def _alone() -> Iterator[None]:
    """Let Lightning train in this process alone, whatever cluster started it, and without its advice.

    The launcher spreads runs over a cluster. Lightning would take the variables of one for an order to spread a single
    run, or for arguments of its trainer, which change a result that is known by the same key. Its warnings advise on
    data loaders, devices and `srun`, which are chosen on purpose.
    """
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if CLUSTER.fullmatch(name)}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
            yield
    finally:
        os.environ.update(hidden)


class Steps:
    """The batches of some steps in order, as Lightning wants them.

    A thread makes `ahead` of them before they are asked for; `pinned` ones can be copied to a GPU while it computes.
    """

    def __init__(self, batches: Callable[[int], Batch], steps: range, ahead: int = 0, *, pinned: bool = False) -> None:
        self._batches, self._steps, self._ahead, self._pinned = batches, steps, ahead, pinned

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Batch]:
        if not self._ahead:
            yield from map(self._make, self._steps)
            return
        with ThreadPoolExecutor(1, "batches") as thread:
            waiting = deque(thread.submit(self._make, step) for step in self._steps[: self._ahead])
            try:
                for step in self._steps[self._ahead :]:
                    waiting.append(thread.submit(self._make, step))
                    yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:  # a run may end before its last step
                thread.shutdown(wait=False, cancel_futures=True)

    def _make(self, step: int) -> Batch:
        batch = self._batches(step)
        return batch.pinned() if self._pinned else batch
