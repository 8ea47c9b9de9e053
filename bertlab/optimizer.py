"""Optimisers: a model's parameters -> a torch optimiser with decay groups."""

from collections.abc import Sequence

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from bertlab.errors import InputError, closed_interval, open_interval


def adamw(model: nn.Module, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101); biases and norms do not decay."""
    groups, beta1, beta2 = _adam(model, lr, betas, eps, weight_decay)
    return AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def adam(model: nn.Module, *, lr: float, betas: Sequence[float], eps: float, weight_decay: float) -> Optimizer:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980); weight decay is an L2 term: it is added to the gradient and adapted."""
    groups, beta1, beta2 = _adam(model, lr, betas, eps, weight_decay)
    return Adam(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def sgd(model: nn.Module, *, lr: float, momentum: float, weight_decay: float) -> Optimizer:
    """Gradient descent with heavy-ball momentum (Polyak 1964) and L2: m = momentum * m + g; weights -= lr * m."""
    open_interval("optimizer.lr", lr, 0, 1e3)
    closed_interval("optimizer.momentum", momentum, 0, 0.999999)
    closed_interval("optimizer.weight_decay", weight_decay, 0, 1e3)
    return SGD(decay_groups(model, weight_decay), lr=lr, momentum=momentum, fused=True)


def _adam(
    model: nn.Module, lr: float, betas: Sequence[float], eps: float, weight_decay: float
) -> tuple[list[dict[str, object]], float, float]:
    """Check the settings that both kinds of Adam share; return the groups and the betas."""
    open_interval("optimizer.lr", lr, 0, 1e3)
    if not isinstance(betas, Sequence) or len(betas) != 2:
        raise InputError(f"optimizer.betas must hold two numbers, got {betas}; choose for example [0.9, 0.98]")
    beta1, beta2 = (closed_interval("optimizer.betas", beta, 0, 0.999999) for beta in betas)
    open_interval("optimizer.eps", eps, 0, 1)
    closed_interval("optimizer.weight_decay", weight_decay, 0, 1e3)
    return decay_groups(model, weight_decay), beta1, beta2


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split parameters: matrices and embeddings decay, vectors (biases, scales and shifts of norms) do not."""
    parameters = list(model.parameters())
    return [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
