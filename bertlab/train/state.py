"""The training state as named tensors: model and optimiser, enough to continue bit by bit.

Names are `model.<name in the model>` and `optimizer.<number of the parameter>.<name in the optimiser>`. Learning rates
are not in it: the schedule computes them from the step. Random numbers are not in it: streams give them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def snapshot(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the state; the tensors are not copied."""
    own = {f"model.{name}": tensor for name, tensor in _stored(model)}
    return own | {
        f"optimizer.{number}.{name}": tensor
        for number, parameter in enumerate(_parameters(optimizer))
        for name, tensor in optimizer.state[parameter].items()
        if tensor is not None
    }


@torch.no_grad()
def restore_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy the state into a model of the same kind."""
    for name, tensor in _stored(model):
        tensor.copy_(tensors[f"model.{name}"])


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Copy the state into a new optimiser of the same kind, on the device that it needs."""
    state = defaultdict[int, dict[str, Tensor]](dict)
    for path, tensor in tensors.items():
        kind, _, rest = path.partition(".")
        if kind == "optimizer":
            number, _, name = rest.partition(".")
            state[int(number)][name] = tensor.clone()
    if state:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _stored(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of the model's state; shared ones once."""
    stored = model.state_dict().keys()
    tensors: Iterator[tuple[str, Tensor]] = chain(model.named_parameters(), model.named_buffers())
    yield from ((name, tensor) for name, tensor in tensors if name in stored)


def _parameters(optimizer: Optimizer) -> Iterator[Tensor]:
    return chain.from_iterable(group["params"] for group in optimizer.param_groups)
