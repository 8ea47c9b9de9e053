"""No training: evaluates the initial weights, for `start=` and the user's own tasks."""

import math
from collections.abc import Callable
from pathlib import Path

import torch

from bertlab.config.environment import usable_cores
from bertlab.data.batches import Batch
from bertlab.train.fit import Hardware
from bertlab.train.module import Pretraining
from bertlab.train.recorder import SUMMARY, Recorder


class NoTraining(Hardware):
    """Evaluates without training, for any budget."""

    trains = False

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder, folder: Path) -> None:
        """Evaluate the model once, and record it as step 0."""
        torch.set_num_threads(usable_cores() if self.threads is None else self.threads)
        module.model.to(self._trainer(1, [], folder).strategy.root_device)
        scores = recorder.evaluation.score(module.model, last=True)
        point = recorder.progress.as_metrics() | {f"eval/{name}": value for name, value in scores.items()}
        recorder.outcome = ", ".join(f"eval/{name} {scores[name]:.3f}" for name in SUMMARY if name in scores)
        # not a new method of the recorder: a change of that class would change the identity of all trained runs
        recorder._record(0, {name: value for name, value in point.items() if math.isfinite(value)})
