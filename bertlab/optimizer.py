"""Optimisers: a model's parameters -> a torch optimiser with decay groups."""

from collections.abc import Sequence

from torch import nn
from torch.optim import AdamW, Optimizer

from bertlab.errors import InputError, closed_interval, open_interval


def adamw(model: nn.Module, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101); biases and norms do not decay."""
    open_interval("optimizer.lr", lr, 0, 1e3)
    if not isinstance(betas, Sequence) or len(betas) != 2:
        raise InputError(f"optimizer.betas must hold two numbers, got {betas}; choose for example [0.9, 0.98]")
    beta1, beta2 = (closed_interval("optimizer.betas", beta, 0, 0.999999) for beta in betas)
    open_interval("optimizer.eps", eps, 0, 1)
    closed_interval("optimizer.weight_decay", weight_decay, 0, 1e3)
    groups = decay_groups(model, weight_decay)
    return AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split parameters: matrices and embeddings decay, vectors (biases, scales and shifts of norms) do not."""
    parameters = list(model.parameters())
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
