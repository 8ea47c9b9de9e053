"""Measures training speed on this machine: trains a job's model on its batches for some seconds, records nothing."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bertlab.data.batches import Batch
from bertlab.model.flops import Flops
from bertlab.sweep.run import Job
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Plan, Recorder


class Stopwatch(Recorder):
    """Times training steps and stops after `seconds`; the first step, which includes setup, is not timed."""

    def __init__(self, job: Job, seconds: float) -> None:
        never = frozenset[int]()
        super().__init__(Plan(max(job.steps, 2), never, never), job.evaluation, Flops(0, 0), lambda *_: None)
        self.seconds, self.ends = seconds, list[float]()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Note the time."""
        super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)
        self.ends.append(time.monotonic())
        trainer.should_stop = len(self.ends) > 1 and self.ends[-1] - self.ends[0] >= self.seconds

    @property
    def seconds_a_step(self) -> float:
        """Mean over the timed steps; there is at least one."""
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)


def seconds_a_step(job: Job, seconds: float) -> float:
    """Train for about `seconds`, at least two steps, and return the seconds per step."""
    model = job.initial_model()
    parts = job.parts
    module = Pretraining(model, parts.objective, parts.optimizer, parts.schedule, max(job.steps, 2), job.streams)
    watch = Stopwatch(job, seconds)
    with TemporaryDirectory() as folder:
        parts.trainer.fit(module, job.batches, watch, Path(folder))
    return watch.seconds_a_step
