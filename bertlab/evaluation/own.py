"""The common evaluation and tasks of one's own, which are learnt and judged at the end of a run.

A metric is the mean over seeds of learning, on `test`. Its standard error over test items says what as many other ones
would change. measures.csv lists the names.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import nn

from bertlab.data.documents import Corpus
from bertlab.data.store import TokenStore
from bertlab.evaluation.alternatives import likelihoods
from bertlab.evaluation.common import Common
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.scored import Measure, Scored
from bertlab.evaluation.sequences import Reading
from bertlab.evaluation.tuning import Learner, items, targets
from bertlab.model.bert import Bert
from bertlab.tasks.kind import Prepared
from bertlab.tasks.metrics import Array, item_noise
from bertlab.tasks.own import KINDS, MEAN, Asked, Tasks

log = logging.getLogger(__name__)


class WithTasks(Common):
    """Settings of the common evaluation and tasks of one's own."""

    def __init__(self, *, tasks: Tasks, **settings: Any) -> None:
        super().__init__(**settings)
        self.tasks = tasks

    def prepare(self, store: TokenStore, corpus: Corpus, length: int) -> Evaluation:
        """Return the evaluation of a corpus at a length, and the tasks' examples. Raises InputError."""
        prepared = super().prepare(store, corpus, length)
        ready = [Ready(task, task.prepare(store.tokenizer, length)) for task in self.tasks.asked]
        common = {each.name: getattr(prepared, each.name) for each in fields(prepared)}
        return EvaluationWithTasks(**common, own=tuple(ready))


@dataclass(frozen=True)
class Ready:
    """A task and its examples."""

    asked: Asked
    task: Prepared

    def score(self, model: Bert, reading: Reading, device: torch.device) -> dict[str, float]:
        """Return the metrics of a model that learns the task, with their noise. The model is left as it was."""
        kind, tuning, test = KINDS[self.asked.kind], self.asked.tuning, self.task.parts.test
        if kind.head == "alternatives":
            score_R2 = likelihoods(model, test, reading, device).reshape(-1, 2)
            return self._named([score_R2], np.zeros(len(score_R2)), np.array([one.item for one in test[::2]]))
        seeds = 1 if tuning.method == "probe" else tuning.seeds  # a probe has nothing that is drawn
        learner = Learner(model, kind, self.task, tuning, reading.cls, device)
        return self._named([learner.scores(seed) for seed in range(seeds)], targets(test), items(test))

    def _named(self, by_seed: list[Array], target_R: Array, item_R: Array) -> dict[str, float]:
        """Return each metric's mean over seeds, its errors, and its values by seed."""

        def mean(kept_R: Array) -> Mapping[str, float]:
            values = [self.task.judge(score_RC[kept_R], target_R[kept_R], item_R[kept_R]) for score_RC in by_seed]
            return {name: float(np.mean([each[name] for each in values])) for name in values[0]}

        errors, measures = item_noise(mean, item_R), dict[str, float]()
        seeds = [self.task.judge(score_RC, target_R, item_R) for score_RC in by_seed]
        for name, error in errors.items():
            values, place = [each[name] for each in seeds], f"tasks.{self.asked.name}.{name}"
            measures |= {place: float(np.mean(values)), f"{place}.se_items": error}
            if len(values) > 1:
                measures[f"{place}.se_seeds"] = float(np.std(values, ddof=1) / np.sqrt(len(values)))
                measures |= {f"{place}.seed_{seed}": value for seed, value in enumerate(values)}
        first = next(iter(errors))
        log.info("task %s: %s %.3f, standard error %.3f", self.asked.name, first, *_first(measures))
        return measures


def _first(measures: Mapping[str, float]) -> tuple[float, float]:
    """Return the first metric and its error over items and seeds."""
    value, *_ = measures.values()
    errors = [error for name, error in list(measures.items())[:3] if ".se_" in name]
    return value, math.hypot(*errors)


@dataclass(frozen=True)
class EvaluationWithTasks(Evaluation):
    """The held-out data of one corpus, and the tasks of a run."""

    own: tuple[Ready, ...] = field(default=())

    def measures(self, model: nn.Module, last: bool) -> Sequence[Measure]:
        """Return the functions that measure a model, that of the tasks last."""
        return (*super().measures(model, last), *([self.own_tasks] if last else []))

    def own_tasks(self, scored: Scored) -> dict[str, float]:
        """Return the scores of all tasks, and their mean."""
        scores = [ready.score(scored.bert, self.reading, scored.device) for ready in self.own]
        return {name: value for score in [*scores, mean_score(scores)] for name, value in score.items()}


def mean_score(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over tasks of each task's first metric, as GLUE does, and its standard errors.

    A loss (tasks of kind text) does not count. Fewer than two tasks have no mean. Tasks are independent, so that their
    squared errors add up; a task without one of the errors adds none to it.
    """
    firsts = [next(iter(score)) for score in scores]
    counted = [(score, first) for score, first in zip(scores, firsts, strict=True) if not first.endswith(".loss")]
    if len(counted) < 2:
        return {}
    name = f"tasks.{MEAN}.score"
    errors = {
        f"{name}.{source}": math.hypot(*(score.get(f"{first}.{source}", 0) for score, first in counted)) / len(counted)
        for source in ("se_items", "se_seeds")
    }
    return {name: float(np.mean([score[first] for score, first in counted])), **errors}
