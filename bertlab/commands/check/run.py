"""Contracts of a run, for all parts."""

import torch
from torch import Tensor

from bertlab.commands.check.require import require
from bertlab.sweep.run import Job

STEPS = 3


def a_few_steps_have_finite_losses_and_the_same_ones_again(job: Job) -> None:
    """Without dropout, which uses torch's own random numbers."""
    first, again = _losses(job), _losses(job)
    require(all(loss.isfinite() for loss in first), f"losses are {[float(loss) for loss in first]}")
    require(torch.equal(torch.stack(first), torch.stack(again)), "two runs with equal draws differ")


def _losses(job: Job) -> list[Tensor]:
    model = job.initial_model().eval()
    optimizer, losses = job.parts.optimizer(model), list[Tensor]()
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(min(STEPS, job.steps)):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * job.parts.schedule(step, job.steps)
        batch = job.batches(step)
        loss = job.parts.objective(model(batch), batch, step, job.steps)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses
