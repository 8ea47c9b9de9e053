"""Cross-entropy over a vocabulary in fewer passes than torch takes: logits are the largest thing of a step.

Legend: V vocabulary, M predicted positions.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def summed(logit_MV: Tensor, target_M: Tensor) -> Tensor:
    """Return the sum over rows of -ln softmax(logits)[target], a number in nats.

    On the CPU in single precision a backward pass takes the memory of the forward one, so there can be one only.
    """
    if logit_MV.device.type not in ("cpu", "meta") or logit_MV.dtype != torch.float32:  # meta: to count what is kept
        return functional.cross_entropy(logit_MV, target_M, reduction="sum")
    loss: Tensor = _Summed.apply(logit_MV, target_M)  # type: ignore[no-untyped-call]
    return loss


class _Summed(torch.autograd.Function):
    """Keeps exp(logit - highest) of the forward pass and makes the gradient of it where it lies."""

    @staticmethod
    def forward(ctx: Any, logit_MV: Tensor, target_M: Tensor) -> Tensor:
        highest_M1 = logit_MV.amax(1, keepdim=True)
        weight_MV = (logit_MV - highest_M1).exp_()
        total_M1 = weight_MV.sum(1, keepdim=True)
        ctx.save_for_backward(weight_MV, total_M1, target_M)
        return (total_M1.log() + highest_M1 - logit_MV.gather(1, target_M[:, None])).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        weight_MV, total_M1, target_M = ctx.saved_tensors
        softmax_MV = weight_MV.mul_(gradient / total_M1)
        return softmax_MV.scatter_add_(1, target_M[:, None], -gradient.expand(len(target_M), 1)), None
