"""A training step with a divided batch: among the devices of a run, and on each device into parts.

The gradient of a step is that of the loss over the whole batch. Dropout of each part uses its own stream. So a step
does not depend on how many devices share the parts; with dropout it differs from that of an undivided batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, distributed
from torch.optim import Optimizer

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.norm import over_tokens
from bertlab.train.module import Pretraining
from bertlab.train.parts import LOSS, Part, contribution, part_of


@dataclass(frozen=True)
class Division:
    """How batches are divided: `rank` (from 0) of `devices` computes `accumulate` parts of each."""

    rank: int
    devices: int
    accumulate: int

    @property
    def parts(self) -> int:
        """Number of parts of the batch."""
        return self.devices * self.accumulate

    def own(self) -> range:
        """Return the numbers of this device's parts."""
        return range(self.rank * self.accumulate, (self.rank + 1) * self.accumulate)


class Divided(Pretraining):
    """Minimises the same loss as a Pretraining, part by part; takes over its model and state."""

    def __init__(self, whole: Pretraining, division: Division) -> None:
        parts = (whole.model, whole.objective, whole._optimizer, whole._schedule)
        super().__init__(*parts, whole._total_steps, whole._streams)
        self.first, self._saved, self._division = whole.first, whole._saved, division
        if over_tokens(self.model):
            raise InputError(
                "model/norm must look at one token at a time where a batch is divided, got one that takes its "
                "statistics over tokens; leave out trainer.devices and trainer.accumulate, or choose model/norm=layer"
            )

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of the device's last part, times the number of devices, because gradients are averaged.

        The gradients of its other parts are computed here.
        """
        self.zero_grad()
        *before, last = self._division.own()
        done: list[dict[str, Tensor]] = []
        for number in before:
            added = self._added(part_of(batch, number, self._division.parts), number)
            self._scaled(added).backward()  # type: ignore[no-untyped-call]
            torch.clear_autocast_cache()  # else the next part's backward pass would reuse cached casts of this one
            done.append(added)
        done.append(self._added(part_of(batch, last, self._division.parts), last))
        self.losses = self._over_devices({name: sum_of(name, done) for name in done[0]})
        return self._scaled(done[-1])

    def leaves_out(self, batch: Batch) -> bool:
        """Return whether the loss of such batches leaves some parameters out, for example those of an unused head."""
        row, parameters = part_of(batch, 0, len(batch.ids_BL)).batch, list(self.parameters())
        gradients = torch.autograd.grad(self._losses(row, self.first)[LOSS], parameters, allow_unused=True)
        return any(gradient is None for gradient in gradients)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Keep the gradients of earlier parts: Lightning would clear them before its backward pass."""

    def _added(self, part: Part, number: int) -> dict[str, Tensor]:
        seed = self._streams.integer(f"dropout/part{number}", self.step)
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        return contribution(self._losses(part.batch, self.step), part.share)

    def _scaled(self, added: Mapping[str, Tensor]) -> Tensor:
        return added[LOSS] * self._division.devices

    def _over_devices(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the sums over all devices."""
        if self._division.devices == 1:
            return losses
        stacked = torch.stack(list(losses.values()))
        distributed.all_reduce(stacked)
        return dict(zip(losses, stacked.unbind(), strict=True))


def sum_of(name: str, losses: list[dict[str, Tensor]]) -> Tensor:
    """Return the sum of one loss over some parts, detached."""
    return torch.stack([each[name].detach() for each in losses]).sum()
