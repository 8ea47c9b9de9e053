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

from bertlab.config.bounds import bounded
from bertlab.config.environment import usable_cores
from bertlab.config.errors import InputError, own
from bertlab.data.batches import Batch
from bertlab.train.module import Pretraining
from bertlab.train.precision import RoundedProducts
from bertlab.train.progress import ProgressLine
from bertlab.train.recorder import Recorder
from bertlab.train.stopping import Stopping

CLUSTER = re.compile(  # environment variables from which Lightning infers a cluster, a rank or trainer arguments
    r"PL_\w+|SLURM_\w+|TORCHELASTIC_\w+|KUBERNETES_\w+|LSB_\w+|JSM_\w+|OMPI_\w+|MASTER_(ADDR|PORT)|STANDALONE_PORT|"
    r"(WORLD_SIZE|(LOCAL_|GROUP_|NODE_)?RANK)"
)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h: size from which freed memory returns to the system


class Hardware:
    """Where and how a run trains; only `precision` and `clip` are part of a run's identity."""

    trains = True

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
        """Raise InputError for hardware that this machine does not have."""
        try:
            with _alone():
                self._trainer(1, [], Path())
        except (ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
            raise InputError(
                f"{own('accelerator')} must be one that works here, got {self.accelerator}: {str(error).rstrip('.')}; "
                "choose for example cpu"
            ) from error

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder, folder: Path) -> None:
        """Train the planned steps, or the remaining ones.

        `folder` is the run's own: Lightning looks only there for a checkpoint that a cluster left.
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
            tf32 = on_cuda and self.precision != "32-true"  # for computations that are not bf16, such as evaluation
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
            enable_progress_bar=False,  # Lightning's bar counts epochs; we have our own callback
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Keep interrupts as they are: Lightning turns one into SystemExit(1) and then ignores further ones."""
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
    """Let the CPU treat numbers below 1e-38 as 0: saturated attention has many of them, and they are slow."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:  # numpy warns if subnormals are flushed
        torch.set_flush_denormal(False)


def keep_freed_memory() -> None:
    """Let the process keep freed memory for the next step: getting tens of MB again may cost a tenth of a step.

    How much is reused depends on the C library (`benchmarks/memory.py` counts the page faults of a step).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None  # only in glibc
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_THRESHOLD, 2**30)


@contextmanager
def _alone() -> Iterator[None]:
    """Let Lightning train in this process only, ignoring cluster variables and its advice.

    The launcher distributes runs over a cluster. Lightning would use the cluster's variables to distribute a single
    run, or as trainer arguments that change a result without changing its key. Its warnings about data loaders, devices
    and `srun` concern deliberate choices.
    """
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if CLUSTER.fullmatch(name)}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
            yield
    finally:
        os.environ.update(hidden)


class Steps:
    """The batches of some steps in order, as a data loader for Lightning.

    A thread makes `ahead` batches in advance; `pinned` ones can be copied to a GPU while it computes.
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
            finally:  # a run may stop before its last step
                thread.shutdown(wait=False, cancel_futures=True)

    def _make(self, step: int) -> Batch:
        batch = self._batches(step)
        return batch.pinned() if self._pinned else batch
