"""The matrix products of a training step, recorded and run again alone: the limit of the machine.

Enters: a model and a batch. Leaves: the shapes of all products of a forward and a backward pass, and the time of these
products on matrices of these shapes with nothing between them. The products, and so the FLOPs, are the same: the ratio
of times is the share of the machine's matrix rate that the step reaches. The product for the vocabulary logits counts
with the model's shape, although the loss cuts it into tiles that fit into the cache, where it is faster.
"""

import math
import time
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from bertlab.data.batches import Batch

Shapes = tuple[tuple[int, ...], tuple[int, ...]]
Kinds = tuple[torch.dtype, torch.dtype]  # types for products of two matrices, and of batches of matrices
OPERANDS = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}  # index of the first factor among the arguments


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found = Counter[Shapes]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in OPERANDS:
            left, right = args[OPERANDS[name] : OPERANDS[name] + 2]
            self.found[tuple(left.shape), tuple(right.shape)] += 1
        return func(*args, **(kwargs or {}))


def products(model: nn.Module, batch: Batch) -> Counter[Shapes]:
    """Return the number of matrix products of a training step by shape; attention counts as plain products."""
    with _Recording() as recording, sdpa_kernel(SDPBackend.MATH):
        output = model(batch)
        (output.mlm_MV.sum() + output.pair_B2.sum()).backward()
    model.zero_grad(set_to_none=True)
    return recording.found


def flops_of(shapes: Counter[Shapes]) -> int:
    """Return the FLOPs of the products, two for a multiply-add."""
    return sum(2 * math.prod(left) * right[-1] * count for (left, right), count in shapes.items())


def replay(shapes: Counter[Shapes], times: int, device: str, kinds: Kinds) -> float:
    """Return the seconds of the products of one step, averaged over `times` steps."""
    of_matrices, of_batches = kinds
    work = []
    for (left, right), count in shapes.items():
        kind = of_matrices if len(left) == 2 else of_batches
        factors = [torch.randn(shape, device=device, dtype=kind) for shape in (left, right)]
        work.append((*factors, count))
    _once(work)
    start = _now(device)
    for _ in range(times):
        _once(work)
    return (_now(device) - start) / times


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _once(work: list[tuple[Tensor, Tensor, int]]) -> None:
    for left, right, count in work:
        for _ in range(count):
            torch.matmul(left, right)
