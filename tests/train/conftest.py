"""A tiny run on the generated corpus, whose parts a test may replace."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from bertlab.config.compose import load, resolved
from bertlab.model.bert import Bert
from bertlab.model.flops import StagedFlops
from bertlab.sweep.run import Job, prepare_job
from bertlab.train.module import Objective, Pretraining
from bertlab.train.recorder import Plan, Recorder

TINY = (
    "data=oracle",
    "data.documents=60",
    "batch.size=3",
    "budget.tokens=735",  # 7 steps of 3 x 35 tokens
    "model.layers=2",
    "model.width=22",
    "model.heads=1",
    "model.inner=31",
    "model.dropout=0.1",
    "evaluation.sequences=8",
    "trainer.points=7",
    "trainer.progress=false",
)


@dataclass
class Fitted:
    """The results of a run."""

    model: Bert
    recorder: Recorder
    flops: StagedFlops
    points: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)

    def curve(self, name: str) -> list[float]:
        """Return the values of one metric at all points that have it."""
        return [numbers[name] for _, numbers in self.points if name in numbers]


@pytest.fixture(scope="session")
def prepared() -> Callable[..., Job]:
    """Prepare the tiny run, with some keys changed: once, since it is only read."""

    @cache
    def prepare(*overrides: str) -> Job:
        return prepare_job(resolved(load([*TINY, *overrides])))

    return prepare


@pytest.fixture(scope="session")
def fit(prepared: Callable[..., Job]) -> Callable[..., Fitted]:
    """Train the tiny run with some keys changed; parts may be replaced."""

    def run(
        *overrides: str,
        objective: Objective | None = None,
        optimizer: Any = None,
        evaluation: Any = None,
        plan: Any = None,
        saver: Any = None,
        saved: Any = None,
    ) -> Fitted:
        job = prepared(*overrides)
        model = job.initial_model()
        flops = job.count_flops(model)
        every = frozenset(range(1, job.steps + 1))
        points: list[tuple[int, Mapping[str, float]]] = []
        recorder = Recorder(
            plan or Plan(job.steps, every, every),
            evaluation or job.evaluation,
            flops,
            lambda step, numbers: points.append((step, dict(numbers))),
            saver,
        )
        parts = (objective or job.parts.objective, optimizer or job.parts.optimizer, job.parts.schedule)
        threads = torch.get_num_threads()
        module = Pretraining(model, *parts, job.steps, job.streams)
        if saved:
            step, tensors, counters = saved
            module.resume(step, tensors)
            recorder.resume(counters, tensors)
        with TemporaryDirectory() as folder:
            job.parts.trainer.fit(module, job.batches, recorder, Path(folder))
        torch.set_num_threads(threads)
        return Fitted(model, recorder, flops, points)

    return run
