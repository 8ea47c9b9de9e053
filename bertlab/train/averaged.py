"""Training with averaged weights for evaluation and for the final model: `trainer=averaged`.

After every step each weight's running mean becomes decay * mean + (1 - decay) * weight (Polyak & Juditsky 1992; for
neural networks Izmailov et al. 2018, arXiv:1803.05407). The decay is at most (1 + step) / (10 + step), so that the mean
forgets the initial weights. Gradients are those of the weights themselves. Evaluation uses the means, and the finished
model holds them. They are part of the optimiser's state, so checkpoints contain them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bertlab.config.bounds import bounded
from bertlab.data.batches import Batch
from bertlab.evaluation.score import Evaluation
from bertlab.train import fit
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Recorder

MEAN = "mean"  # key in the optimiser's state


class Hardware(fit.Hardware):
    """One device; running means of the weights with a `decay` per step; 0 means the weights themselves."""

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
        if self._averages.optimizer is None:  # the run had no steps left
            self._averages.optimizer = module.configure_optimizers()["optimizer"]
        self._averages.swap()

    def _trainer(self, steps: int, callbacks: list[pl.Callback], folder: Path) -> pl.Trainer:
        # before the recorder, which evaluates
        before: list[pl.Callback] = [Averaging(self._averages)] if callbacks else []
        return super()._trainer(steps, [*before, *callbacks], folder)


class Averages:
    """The running means of the weights that an optimiser updates."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.optimizer: Optimizer | None = None

    @torch.no_grad()
    def update(self, optimizer: Optimizer, step: int) -> None:
        """Update the means after step `step`, counted from 1."""
        self.optimizer = optimizer
        decay = min(self.decay, (1 + step) / (10 + step))
        for weight in self._weights():
            state = optimizer.state[weight]
            if MEAN in state:
                state[MEAN].lerp_(weight, 1 - decay)
            elif weight.grad is not None:  # without a gradient the optimiser has no state for it yet
                state[MEAN] = weight.detach().clone()

    @torch.no_grad()
    def swap(self) -> None:
        """Swap weights and means."""
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
    """Updates the means after each step, before the recorder evaluates."""

    def __init__(self, averages: Averages) -> None:
        self._averages = averages

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Update the means."""
        assert isinstance(module, Pretraining)
        self._averages.update(trainer.optimizers[0], module.step)


class Averaged:
    """An evaluation that uses the means."""

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
