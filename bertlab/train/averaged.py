"""Training whose averaged weights are judged and kept: `trainer=averaged`.

After every step each weight's running mean becomes decay * mean + (1 - decay) * weight (Polyak & Juditsky 1992; of the
weights of neural networks Izmailov et al. 2018, arXiv:1803.05407). The decay is at most (1 + step) / (10 + step), so
that the mean forgets where it started. Gradients are those of the weights themselves. Evaluation reads the means, and
the finished model holds them. The means are part of the state of the optimiser: checkpoints hold them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bertlab.batch.batches import Batch
from bertlab.config.bounds import bounded
from bertlab.evaluation.score import Evaluation
from bertlab.train import fit
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Recorder

MEAN = "mean"  # its name in the state of the optimiser


class Hardware(fit.Hardware):
    """One device; the running means of the weights have a `decay` a step, 0 for the weights as they are."""

    @bounded
    def __init__(self, *, decay: float, **hardware: Any) -> None:
        super().__init__(**hardware)
        self.decay = decay

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder, folder: Path) -> None:
        """Train, and leave the means in the model."""
        self._averages, own = Averages(self.decay), recorder.evaluation
        recorder.evaluation = Averaged(own, self._averages)  # type: ignore[assignment]
        super().fit(module, batches, recorder, folder)
        recorder.evaluation = own
        if self._averages.optimizer is None:  # a run of which no step was left
            self._averages.optimizer = module.configure_optimizers()["optimizer"]
        self._averages.swap()

    def _trainer(self, steps: int, callbacks: list[pl.Callback], folder: Path) -> pl.Trainer:
        before: list[pl.Callback] = [Averaging(self._averages)] if callbacks else []  # the recorder evaluates after it
        return super()._trainer(steps, [*before, *callbacks], folder)


class Averages:
    """The running means of the weights that an optimiser moves."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.optimizer: Optimizer | None = None

    @torch.no_grad()
    def update(self, optimizer: Optimizer, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        self.optimizer = optimizer
        decay = min(self.decay, (1 + step) / (10 + step))
        for weight in self._weights():
            state = optimizer.state[weight]
            if MEAN in state:
                state[MEAN].lerp_(weight, 1 - decay)
            elif weight.grad is not None:  # else the optimiser has yet to begin with it
                state[MEAN] = weight.detach().clone()

    @torch.no_grad()
    def swap(self) -> None:
        """Let weights and means change places."""
        assert self.optimizer is not None
        for weight in self._weights():
            if (mean := self.optimizer.state[weight].get(MEAN)) is not None:
                kept = weight.detach().clone()
                weight.copy_(mean)
                mean.copy_(kept)

    def _weights(self) -> Iterator[Tensor]:
        assert self.optimizer is not None
        for group in self.optimizer.param_groups:
            yield from group["params"]


class Averaging(pl.Callback):
    """Takes in the weights after each step, before the recorder evaluates."""

    def __init__(self, averages: Averages) -> None:
        self._averages = averages

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Update the means."""
        assert isinstance(module, Pretraining)
        self._averages.update(trainer.optimizers[0], module.step)


class Averaged:
    """An evaluation that reads the means."""

    def __init__(self, evaluation: Evaluation, averages: Averages) -> None:
        self._evaluation, self._averages = evaluation, averages

    def score(self, model: nn.Module, *, last: bool = False) -> Mapping[str, float]:
        """Return the measures of the model with the means as its weights."""
        with self._swapped():
            return self._evaluation.score(model, last=last)

    @contextmanager
    def _swapped(self) -> Iterator[None]:
        self._averages.swap()
        try:
            yield
        finally:
            self._averages.swap()
