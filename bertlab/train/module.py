"""The LightningModule: (model, objective, optimiser, schedule) -> one training step.

Steps are counted over the whole run, however often it was interrupted: Lightning counts those since the last start.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from bertlab.batch import Batch
from bertlab.model.bert import Output
from bertlab.streams import Streams
from bertlab.train.state import restore_model, restore_optimizer

Objective = Callable[[Output, Batch, int, int], dict[str, Tensor]]  # (output, batch, step, steps of the run)
Schedule = Callable[[int, int], float]


class Pretraining(pl.LightningModule):
    """Minimises `loss` of the objective; keeps the last step's losses for whoever records them."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: Callable[[nn.Module], Optimizer],
        schedule: Schedule,
        total_steps: int,
        streams: Streams,
    ) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self._optimizer, self._schedule, self._total_steps, self._streams = optimizer, schedule, total_steps, streams
        self.losses: dict[str, Tensor] = {}
        self.first = 0  # the step that training starts with
        self._saved: Mapping[str, Tensor] = {}
        self._compiled: Callable[[Batch], Output] | None = None

    def compile_model(self) -> None:
        """Let torch.compile fuse the model's passes; evaluation goes on without."""
        self._compiled = torch.compile(self.model.forward)

    def resume(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Go on after `step` steps with the model and the optimiser as `snapshot` found them then."""
        restore_model(self.model, tensors)
        self.first, self._saved = step, tensors

    @property
    def step(self) -> int:
        """The steps that were taken."""
        return self.first + self.global_step

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch. Dropout draws from torch's generator, set anew from its stream each step."""
        seed = self._streams.integer("dropout", self.step)
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # alone: `torch.manual_seed` visits every kind of device
        else:
            torch.manual_seed(seed)
        output = (self._compiled or self.model)(batch)
        losses = self.objective(output, batch, self.step, self._total_steps)
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        return losses["loss"]

    def configure_optimizers(self) -> Any:
        """Return the optimiser and a schedule that moves with every step."""
        optimizer = self._optimizer(self.model)
        restore_optimizer(optimizer, self._saved)
        last = self._total_steps - 1
        scheduler = LambdaLR(optimizer, lambda step: self._schedule(min(self.first + step, last), last + 1))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the norm; Lightning refuses to for fused optimisers in bf16-mixed, where nothing is against it."""
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _: int) -> Batch:
        """Move a batch."""
        return batch if device.type == "cpu" else batch.to(device)
