"""No training: the weights that a run starts from are evaluated as they are, for `start=` and tasks of one's own."""

import math
from collections.abc import Callable
from pathlib import Path

import torch

from bertlab.batch.batches import Batch
from bertlab.config.environment import usable_cores
from bertlab.train.fit import Hardware
from bertlab.train.module import Pretraining
from bertlab.train.recorder import SUMMARY, Recorder


class NoTraining(Hardware):
    """Where a run is evaluated that trains nothing, whatever its budget says."""

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder, folder: Path) -> None:
        """Evaluate the model once, and record it as step 0."""
        torch.set_num_threads(usable_cores() if self.threads is None else self.threads)
        module.model.to(self._trainer(1, [], folder).strategy.root_device)
        scores = recorder.evaluation.score(module.model, last=True)
        point = recorder.progress.as_metrics() | {f"eval/{name}": value for name, value in scores.items()}
        recorder.outcome = ", ".join(f"eval/{name} {scores[name]:.3f}" for name in SUMMARY if name in scores)
        # not by a method of the recorder's own: a change of that class would disown every run that was trained with it
        recorder._record(0, {name: value for name, value in point.items() if math.isfinite(value)})
