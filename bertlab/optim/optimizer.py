"""Optimisers: a model's parameters -> a torch optimiser with decay groups."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer

from bertlab.config.bounds import bounded

SCORES = "classify"  # the name of a dense layer whose outputs are scores of labels


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
    """Steps along the nearest orthogonal matrix of the momentum (Jordan et al. 2024, kellerjordan.github.io).

    Embeddings, layers that score labels and vectors are left to AdamW (`betas`, `eps`). Steps of matrices are scaled to
    the size of AdamW's, so that both share `lr` and `weight_decay` (Liu et al. 2025, arXiv:2502.16982, sec. 2.2).
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


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split parameters: matrices and embeddings decay, vectors (biases, scales and shifts of norms) do not."""
    parameters = list(model.parameters())
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def dense_matrices(model: nn.Module) -> list[Tensor]:
    """Return the weights of dense layers but of those that score labels, what is shared once."""
    return [
        module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] != SCORES
    ]


class Together(Optimizer):
    """Several optimisers of different parameters that step, are scheduled, saved and restored as one."""

    def __init__(self, *members: Optimizer) -> None:
        self._members = members
        super().__init__([group for member in members for group in member.param_groups], {})
        self._join()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step of each; return what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self._members:
            member.step()
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a saved state, which replaces groups and state, for the members too."""
        super().__setstate__(state)
        self._join()

    def _join(self) -> None:
        """Have all members read and write the common groups and the common state."""
        groups = iter(self.param_groups)
        for member in self._members:
            member.state = self.state
            member.param_groups = [next(groups) for _ in member.param_groups]
