"""Counts a model: parameters by part, attention heads, and the bytes that a training step keeps.

Counts the built model. It may be on torch's meta device: then nothing is computed or allocated.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim import Optimizer

from bertlab.data.batches import Batch
from bertlab.model.attention import Mixer
from bertlab.model.bert import Bert, Output

OF_A_LAYER = ("attention", "attention_norm", "feed_forward", "feed_forward_norm", "final_norm")
GENERATOR = "generator"  # for detection of replaced tokens; its layers are a separate part
NAMES = {  # clearer names for some modules
    "embedding.token": "token embedding",
    "embedding.segment": "segment embedding",
    "embedding.norm": "embedding norm",
    "position": "position embedding",
    "mlm_head": "MLM head",
    "decoder": "output embedding",
}


def part_of(path: str) -> str:
    """Return the part of BERT that a module or parameter belongs to; all layers are one part."""
    words = path.split(".")
    for word in words if words[0] != GENERATOR else ():
        if word in OF_A_LAYER:
            return word.replace("_", " ").replace("feed forward", "feed-forward")
    own = ".".join(words[: 1 + (words[0] == "embedding")])
    return NAMES.get(own, own.replace(".", " ").replace("_", " "))


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Return the number of parameters of each part, trained or not; shared ones count once."""
    found = Counter[str]()
    for path, parameter in model.named_parameters():
        found[part_of(path)] += parameter.numel()
    return dict(found)


def count_heads(model: Bert) -> tuple[int, ...]:
    """Return the number of attention heads in each layer; layers with shared weights count separately."""
    return tuple(sum(_heads(module) for module in block.modules()) for block in model.blocks)


def _heads(module: nn.Module) -> int:
    heads = module.heads if isinstance(module, Mixer) and module.has_heads else 0
    assert isinstance(heads, int)
    return heads


@dataclass(frozen=True)
class Memory:
    """Bytes in memory when the backward pass of a training step begins."""

    parameters: int
    buffers: int  # tables that are not learned
    gradients: int
    optimizer: int
    activations: int  # tensors that the forward pass keeps for the backward pass

    @property
    def by_name(self) -> dict[str, int]:
        """The sizes by name, in words."""
        sizes = {"parameters": self.parameters, "tables": self.buffers, "gradients": self.gradients}
        sizes |= {"optimiser state": self.optimizer, "activations": self.activations}
        return {name: size for name, size in sizes.items() if size}

    @property
    def total(self) -> int:
        """The sum."""
        return sum(self.by_name.values())


def count_memory(
    model: Bert, make_optimizer: Callable[[nn.Module], Optimizer], loss: Callable[[Output], Tensor], batch: Batch
) -> Memory:
    """Count the bytes of training on batches like `batch`, in the model's precision."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return Memory(
        parameters=sum(map(_bytes, model.parameters())),
        buffers=sum(map(_bytes, model.buffers())),
        gradients=sum(map(_bytes, trained)),
        optimizer=_optimizer_bytes(make_optimizer(model), trained),
        activations=saved_bytes(lambda: loss(model(batch)), model),
    )


def saved_bytes(forward: Callable[[], Tensor], model: nn.Module) -> int:
    """Return the bytes that autograd keeps of a forward pass; each storage counts once, model tensors do not count."""
    own = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}  # keep references, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward()
    del result
    return sum(storage.nbytes() for storage in kept.values())


def _optimizer_bytes(optimizer: Optimizer, trained: list[nn.Parameter]) -> int:
    """Return the bytes of optimiser state after one step; the parameters are left without gradients."""
    for group in optimizer.param_groups:
        group.update(fused=False, foreach=False)  # same state size; fused kernels do not run on the meta device
        group["lr"] = 0.0  # do not change the parameters
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for parameter in trained:
        parameter.grad = None
    states = (state.values() for state in optimizer.state.values())
    return sum(_bytes(value) for values in states for value in values if isinstance(value, Tensor))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
