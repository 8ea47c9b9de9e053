"""The LightningModule: (model, objective, optimiser, schedule) -> one training step.

Counts steps over the whole run, also after interruptions; Lightning counts from the last start.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from bertlab.data.batches import Batch
from bertlab.model.bert import Output
from bertlab.model.norm import over_tokens
from bertlab.streams import Streams
from bertlab.train.state import restore_model, restore_optimizer

Losses = dict[str, Tensor]
Objective = Callable[[Output, Batch, int, int], Losses]  # (output, batch, step, total steps)
Schedule = Callable[[int, int], float]

SLACK, MULTIPLE = 0.125, 64  # room for predictions: extra share over the first batch; rounded up for aligned matrices


class Pretraining(pl.LightningModule):
    """Minimises the objective's `loss`; keeps the losses of the last step for the recorder."""

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
        self.first = 0  # first step of this training
        self._saved: Mapping[str, Tensor] = {}
        self._compiled: Callable[[Batch, int], Losses] | None = None
        self._room = 0  # number of predicted positions per batch in the compiled pass

    def compile_pass(self, mode: str) -> None:
        """Let torch.compile fuse a step's forward and backward pass, from ids to losses; evaluation is not compiled.

        Norms over tokens get no CUDA graphs: their batch shapes vary, and each shape would need its own graph.
        """
        if self._compiled is None:
            torch.compiler.reset()  # else torch counts several runs of a process as recompilations, which are limited
            self._compiled = torch.compile(self._losses, mode="default" if over_tokens(self.model) else mode)

    def resume(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Continue after `step` steps with the model and optimiser state of `snapshot`."""
        restore_model(self.model, tensors)
        self.first, self._saved = step, tensors

    @property
    def step(self) -> int:
        """The number of finished steps."""
        return self.first + self.global_step

    def learns_tokens(self, step: int) -> bool:
        """Return whether the predictions of step `step` (from 0) have a weight in its loss; by default they have."""
        tells: Callable[[int, int], bool] | None = getattr(self.objective, "learns_tokens", None)
        return tells is None or tells(step, self._total_steps)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch. Dropout uses torch's generator, seeded from its stream at each step."""
        seed = self._streams.integer("dropout", self.step)
        if self.device.type == "cpu":
            # only this generator: `torch.manual_seed` visits every kind of device
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        if self._compiled is None:
            losses = self._losses(batch, self.step)
        else:
            losses = self._compiled(self._of_one_shape(batch), self.step)
        self.losses = {name: loss.detach().clone() for name, loss in losses.items()}  # clone: CUDA graphs reuse memory
        return losses["loss"]

    def _losses(self, batch: Batch, step: int) -> Losses:
        return self.objective(self.model(batch), batch, step, self._total_steps)

    def _of_one_shape(self, batch: Batch) -> Batch:
        """Return the batch padded to the most predictions so far, so that it is compiled only once."""
        if over_tokens(self.model):  # filler positions would enter their statistics
            return batch
        if len(batch.target_M) > self._room:
            self._room = -(-round((1 + SLACK) * len(batch.target_M)) // MULTIPLE) * MULTIPLE
        return batch.with_room(self._room)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and a schedule that advances at every step."""
        optimizer = self._optimizer(self.model)
        restore_optimizer(optimizer, self._saved)
        last = self._total_steps - 1
        scheduler = LambdaLR(optimizer, lambda step: self._schedule(min(self.first + step, last), last + 1))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradient norm; Lightning refuses this for fused optimisers in bf16-mixed, without need."""
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, _: int) -> Batch:
        """Move a batch."""
        return batch if device.type == "cpu" else batch.to(device)
