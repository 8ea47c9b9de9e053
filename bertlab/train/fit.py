"""Fitting: a module and its batches -> a trained module, with Lightning's trainer."""

import ctypes
import logging
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.accelerators import CUDAAccelerator
from pytorch_lightning.callbacks import TQDMProgressBar

from bertlab.batch import Batch
from bertlab.errors import InputError, closed_interval, whole_number
from bertlab.train.module import Pretraining
from bertlab.train.precision import RoundedProducts
from bertlab.train.recorder import Recorder

PRECISIONS = ("32-true", "bf16-mixed", RoundedProducts.precision)  # float16 would need its gradients unscaled to clip
MODES = ("reduce-overhead", "max-autotune")  # of torch.compile, beside its default; both make CUDA graphs
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h: bytes from which freed memory goes back to the system


class Hardware:
    """Where and how a run trains; none of it is part of a run's identity but `precision` and `clip`."""

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
        if precision not in PRECISIONS:
            raise InputError(
                f"trainer.precision must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, got {precision}; "
                "choose one of them"
            )
        if not isinstance(accelerator, str):
            raise InputError(f"trainer.accelerator must be a word, got {accelerator}; choose for example cpu")
        if not isinstance(progress, bool):
            raise InputError(f"trainer.progress must be true or false, got {progress}; choose one")
        if not isinstance(compile, bool) and compile not in MODES:
            raise InputError(f"trainer.compile must be true, false or {' or '.join(MODES)}, got {compile}; choose one")
        self.accelerator, self.precision = accelerator, precision
        self.progress, self.compile, self.ahead = progress, compile, whole_number("trainer.ahead", ahead, 0)
        self.threads = None if threads is None else whole_number("trainer.threads", threads, 1)
        self.clip = closed_interval("trainer.clip", clip, 0, 1e9)
        self.points = whole_number("trainer.points", points, 1)
        self.checkpoint_seconds = closed_interval("trainer.checkpoint_seconds", checkpoint_seconds, 0, 1e9)

    def check(self) -> None:
        """Raise InputError for hardware that this machine lacks."""
        try:
            self._trainer(1, [])
        except (ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
            raise InputError(
                f"trainer.accelerator must be one that works here, got {self.accelerator}: {error}; "
                "choose for example cpu"
            ) from error

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder) -> None:
        """Train for the planned steps, or those that are left of them."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        bar: list[pl.Callback] = [SpeedBar(recorder)] if self.progress else []
        steps = range(module.first, recorder.plan.total)
        if not steps:
            return
        if self.compile:
            module.compile_pass("default" if self.compile is True else str(self.compile))
        _keep_freed_memory()
        trainer = self._trainer(len(steps), [recorder, *bar])
        on_cuda = isinstance(trainer.accelerator, CUDAAccelerator)
        tf32 = on_cuda and self.precision != "32-true"  # for what is not bf16, such as evaluation
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        with _without_advice(), _interruptible(), _denormals_as_zero():
            trainer.fit(module, train_dataloaders=Steps(batches, steps, self.ahead, pinned=on_cuda))

    def _trainer(self, steps: int, callbacks: list[pl.Callback]) -> pl.Trainer:
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
        rounds = self.precision == RoundedProducts.precision
        with _without_advice():
            return pl.Trainer(
                accelerator=self.accelerator,
                devices=1,
                precision=None if rounds else self.precision,  # type: ignore[arg-type]
                plugins=[RoundedProducts()] if rounds else None,
                max_steps=steps,
                max_epochs=1,
                gradient_clip_val=self.clip or None,
                callbacks=callbacks,
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=self.progress,
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


def _keep_freed_memory() -> None:
    """Have the process keep what a step frees for the next step: to fetch tens of MB anew may cost a tenth of it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None  # glibc has it
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_THRESHOLD, 2**30)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence Lightning's warnings: they advise on data loaders and devices, which are chosen here on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        yield


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


class SpeedBar(TQDMProgressBar):
    """Progress bar with tokens per second; steps and the remaining time are tqdm's own."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(refresh_rate=20)
        self._recorder = recorder

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what stands behind the bar."""
        return {"tokens/s": f"{self._recorder.progress.as_metrics()['perf/tokens_per_second']:,.0f}"}
