"""The LightningModule: (model, objective, optimiser, schedule) -> one training step."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from bertlab.batch import Batch
from bertlab.model.bert import Output
from bertlab.streams import Streams

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

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch. Dropout draws from torch's generator, set anew from its stream each step."""
        torch.manual_seed(self._streams.integer("dropout", self.global_step))
        losses = self.objective(self.model(batch), batch, self.global_step, self._total_steps)
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        return losses["loss"]

    def configure_optimizers(self) -> Any:
        """Return the optimiser and a schedule that moves with every step."""
        optimizer = self._optimizer(self.model)
        scheduler = LambdaLR(
            optimizer, lambda step: self._schedule(min(step, self._total_steps - 1), self._total_steps)
        )
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
