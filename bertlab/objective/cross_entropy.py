"""Cross-entropy over a vocabulary, fused with the product that makes the logits, the largest tensor of a step.

Legend: D width, V vocabulary, M predicted positions, R those of them that are computed at once.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from bertlab.data.batches import NO_TARGET
from bertlab.model.rounding import kind_of_factors

ROWS = 128  # rows of logits at once: few enough for a CPU's cache, enough for fast products


def linear_cross_entropy(state_MD: Tensor, token_VD: Tensor, bias_V: Tensor, target_M: Tensor) -> Tensor:
    """Return the sum over positions of -ln softmax(state @ token^T + bias)[target], a number in nats.

    On the CPU in single precision, logits exist for only `ROWS` positions at a time, and their gradient is computed at
    once (Wijmans et al. 2024, arXiv:2411.09009, on GPUs). torch's own version (measured in 2.13) makes a step of the
    default run slower. The backward pass overwrites saved memory, so there can be only one. There every target must be
    a token; elsewhere, as in a compiled step, NO_TARGET is ignored. Inside `rounding` the products are rounded like
    those of linear layers, `ROWS` positions at a time and, here, without the biases.
    """
    single = state_MD.dtype == token_VD.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    # meta: for counting saved bytes
    here = state_MD.device.type in ("cpu", "meta") and not torch.compiler.is_compiling()
    if not (here and single):
        logit_MV = functional.linear(state_MD, token_VD, bias_V)
        return functional.cross_entropy(logit_MV, target_M, reduction="sum", ignore_index=NO_TARGET)
    loss: Tensor = _Summed.apply(state_MD, token_VD, bias_V, target_M)  # type: ignore[no-untyped-call]
    return loss


class _Summed(torch.autograd.Function):
    """Saves only the gradients; logits are no longer needed."""

    @staticmethod
    def forward(ctx: Any, state_MD: Tensor, token_VD: Tensor, bias_V: Tensor, target_M: Tensor) -> Tensor:
        loss = state_MD.new_zeros(())
        of_state_MD, of_token_VD, of_bias_V = map(torch.zeros_like, (state_MD, token_VD, bias_V))
        factor = kind_of_factors()
        state_MD, token_VD = state_MD.to(factor), token_VD.to(factor)
        some = (torch.split(each, ROWS) for each in (state_MD, target_M, of_state_MD))
        for state_RD, target_R, of_state_RD in zip(*some, strict=True):
            logit_RV = torch.mm(state_RD, token_VD.T).float().add_(bias_V)  # faster than a fused addmm
            # loss = log(sum(exp(logits))) - target logit, with the maximum subtracted
            target_R1, highest_R1 = target_R[:, None], logit_RV.amax(1, keepdim=True)
            said_R1 = logit_RV.gather(1, target_R1)
            weight_RV = logit_RV.sub_(highest_R1).exp_()
            total_R1 = weight_RV.sum(1, keepdim=True)
            loss += (total_R1.log() + highest_R1 - said_R1).sum()
            # gradient of the logits = softmax - one-hot target; then of bias, states and token embeddings
            of_logit_RV = weight_RV.div_(total_R1).scatter_add_(
                1, target_R1, said_R1.new_full((), -1).expand_as(said_R1)
            )
            of_bias_V += of_logit_RV.sum(0)
            of_logit_RV = of_logit_RV.to(factor)
            if factor == torch.float32:
                torch.mm(of_logit_RV, token_VD, out=of_state_RD)
                of_token_VD.addmm_(of_logit_RV.T, state_RD)
            else:  # torch cannot multiply rounded factors into single precision
                of_state_RD.copy_(of_logit_RV @ token_VD)
                of_token_VD += of_logit_RV.T @ state_RD
        ctx.save_for_backward(of_state_MD, of_token_VD, of_bias_V)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*(each.mul_(gradient) for each in ctx.saved_tensors), None)
