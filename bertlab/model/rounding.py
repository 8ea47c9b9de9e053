"""Linear layers in bfloat16 and all else in single precision: mixed precision for CPUs.

torch's autocast would also run norms, activations and attention in bfloat16. On a CPU this makes a step slower than
single precision, although bfloat16 products are twice as fast on CPUs with instructions for them. The same layers
are rounded on every device.

Legend: D width in, K width out, N tokens, of any shape.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_kind = ContextVar("kind of the factors of products", default=torch.float32)


def kind_of_factors() -> torch.dtype:
    """Return the dtype to which linear layers round their inputs: bfloat16 inside `rounding`, else float32."""
    return _kind.get()


@contextmanager
def rounding() -> Iterator[None]:
    """Make linear layers round their inputs and outputs to bfloat16, forward and backward, inside this context.

    Weights, states and gradients stay in single precision.
    """
    before = _kind.set(torch.bfloat16)
    try:
        with _Rounding():
            yield
    finally:
        _kind.reset(before)


class _Rounding(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (_linear if function is functional.linear else function)(*args, **(kwargs or {}))


def _linear(x_ND: Tensor, weight_KD: Tensor, bias_K: Tensor | None = None) -> Tensor:
    if x_ND.dtype != torch.float32:
        return functional.linear(x_ND, weight_KD, bias_K)
    return _Linear.apply(x_ND, weight_KD, bias_K)  # type: ignore[no-any-return,no-untyped-call]


class _Linear(torch.autograd.Function):
    """x W^T + b; saves the rounded tensors for the backward pass, half of the usual bytes."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, weight_KD: Tensor, bias_K: Tensor | None) -> Tensor:
        rounded = [None if each is None else each.bfloat16() for each in (x_ND, weight_KD, bias_K)]
        ctx.save_for_backward(*rounded[:2])
        return functional.linear(*rounded).float()  # type: ignore[arg-type]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out_NK: Tensor) -> tuple[Tensor | None, ...]:
        x_ND, weight_KD = ctx.saved_tensors
        wanted, of_row_NK = ctx.needs_input_grad, _rows(of_out_NK)
        rounded_NK = of_row_NK.bfloat16()
        of_x_ND = (rounded_NK @ weight_KD).float().view(x_ND.shape) if wanted[0] else None
        of_weight_KD = (rounded_NK.T @ _rows(x_ND)).float() if wanted[1] else None
        return of_x_ND, of_weight_KD, of_row_NK.sum(0) if wanted[2] else None


def _rows(x_ND: Tensor) -> Tensor:
    return x_ND.reshape(-1, x_ND.shape[-1])
