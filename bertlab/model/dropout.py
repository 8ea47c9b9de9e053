"""Dropout (Srivastava et al. 2014) of states and attention weights during training."""

import torch
from torch import Tensor, nn
from torch.nn import functional

BITS = 16  # random bits per element; one 64-bit draw of torch's generator serves four elements


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Return `x` with each element set to zero with probability `p` and the others divided by 1 - p, any shape.

    On the CPU torch draws a double for each element; here 16 bits are drawn instead. p is rounded to 1/65536, also in
    the division. Uses torch's global generator of the device.
    """
    if not training or p == 0:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return functional.dropout(x, p)
    dropped = round(p * 2**BITS)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    kept = torch.empty_like(x, requires_grad=False)
    torch.ge(draws[: x.numel()].view(x.shape), dropped - 2 ** (BITS - 1), out=kept)
    kept_of_x: Tensor = x * kept.mul_(2**BITS / (2**BITS - dropped))
    return kept_of_x


class Dropout(nn.Module):
    """Drops elements with probability `p` during training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` after dropout."""
        return dropout(x, self.p, self.training)
