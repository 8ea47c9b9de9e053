"""Optimisers: a model's parameters -> a torch optimiser with decay groups."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer

from bertlab.config.bounds import bounded

INPUT, LAYER = ("embedding.", "position."), re.compile(r"blocks\.(\d+)\.")  # prefixes of parameter names
SCORES = "classify"  # name of a dense layer whose outputs are scores of labels


@bounded
def adamw(model: nn.Module, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101); biases and norms do not decay."""
    beta1, beta2 = betas
    return AdamW(decay_groups(model, weight_decay), lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


@bounded
def adam(model: nn.Module, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> Optimizer:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980); weight decay is an L2 term: it is added to the gradient and adapted."""
    beta1, beta2 = betas
    return Adam(decay_groups(model, weight_decay), lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


@bounded
def sgd(model: nn.Module, *, lr: float, momentum: float, weight_decay: float) -> Optimizer:
    """Gradient descent with heavy-ball momentum (Polyak 1964) and L2: m = momentum * m + g; weights -= lr * m."""
    return SGD(decay_groups(model, weight_decay), lr=lr, momentum=momentum, fused=True)


@bounded
def muon(
    model: nn.Module, *, lr: float, momentum: float, betas: Sequence[float], eps: float, weight_decay: float
) -> Optimizer:
    """Steps along the orthogonal matrix nearest to the momentum (Jordan et al. 2024, kellerjordan.github.io).

    AdamW (`betas`, `eps`) trains embeddings, layers that score labels, and vectors. Steps of matrices are scaled to the
    size of AdamW's, so that both share `lr` and `weight_decay` (Liu et al. 2025, arXiv:2502.16982, sec. 2.2).
    """
    rest = adamw(model, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
    matrices = dense_matrices(model)
    taken = {id(matrix) for matrix in matrices}
    for group in rest.param_groups:
        group["params"] = [parameter for parameter in group["params"] if id(parameter) not in taken]
    first = Muon(
        matrices, lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    return Together(first, rest)


@bounded
def adamw_layers(
    model: nn.Module, *, lr: float, decay: float, betas: Sequence[float], eps: float, weight_decay: float
) -> Optimizer:
    """AdamW with rate lr * decay^(n + 1 - k) for layer k of n; embeddings are layer 0; heads have lr.

    Layers near the input are the most general: Howard & Ruder 2018 (arXiv:1801.06146, sec. 3.2), Clark et al. 2020
    (arXiv:2003.10555, app. B). Shared weights count as the first layer's, tied embeddings as the input's.
    """
    groups, top = defaultdict[tuple[bool, int], list[nn.Parameter]](list), _top(model)
    for name, parameter in model.named_parameters():
        groups[parameter.ndim < 2, _depth(name, top)].append(parameter)
    made = [
        {
            "params": groups[group],
            "lr": lr * decay ** (top - group[1]),
            "weight_decay": 0.0 if group[0] else weight_decay,
        }
        for group in sorted(groups)
    ]
    beta1, beta2 = betas
    return AdamW(made, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


@bounded
def adamw_fan_in(
    model: nn.Module, *, lr: float, width: int, betas: Sequence[float], eps: float, weight_decay: float
) -> Optimizer:
    """AdamW with rate lr * width / fan-in for the matrices of dense layers, so that wide ones need no other `lr`.

    A step moves an output by the rate, once for each input of the layer. This is the rule of muP for Adam's hidden
    matrices (Yang et al. 2022, arXiv:2203.03466, table 8). The rate times the decay stays the same.
    """
    dense = {id(parameter) for parameter in dense_matrices(model)}
    groups = defaultdict[tuple[bool, float], list[nn.Parameter]](list)
    for parameter in model.parameters():
        factor = width / parameter.shape[1] if id(parameter) in dense else 1.0
        groups[parameter.ndim < 2, factor].append(parameter)
    made = [
        {"params": own, "lr": lr * factor, "weight_decay": 0.0 if is_vector else weight_decay / factor}
        for (is_vector, factor), own in sorted(groups.items(), key=lambda group: (group[0][0], -group[0][1]))
    ]
    beta1, beta2 = betas
    return AdamW(made, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split parameters: matrices and embeddings decay, vectors (biases, scales and shifts of norms) do not."""
    parameters = list(model.parameters())
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def dense_matrices(model: nn.Module) -> list[Tensor]:
    """Return the weights of dense layers, except those that score labels; shared ones once."""
    return [
        module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] != SCORES
    ]


def _top(model: nn.Module) -> int:
    """Return the depth of the heads: one above the last layer."""
    return 1 + max(
        (int(found[1]) + 1 for name, _ in model.named_parameters() if (found := LAYER.match(name))), default=0
    )


def _depth(name: str, top: int) -> int:
    """Return 0 for embeddings, k for the k-th layer, and `top` for the rest."""
    if name.startswith(INPUT):
        return 0
    return int(found[1]) + 1 if (found := LAYER.match(name)) else top


class Together(Optimizer):
    """Several optimisers of different parameters that act as one: step, schedule, save and restore."""

    def __init__(self, *members: Optimizer) -> None:
        self._members = members
        super().__init__([group for member in members for group in member.param_groups], {})
        self._join()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step of each; return the result of the closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self._members:
            member.step()
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load a saved state, which replaces groups and state, also for the members."""
        super().__setstate__(state)
        self._join()

    def _join(self) -> None:
        """Let all members share the groups and the state."""
        groups = iter(self.param_groups)
        for member in self._members:
            member.state = self.state
            member.param_groups = [next(groups) for _ in member.param_groups]
