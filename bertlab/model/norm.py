"""Norms of the token states. All are called with the states and with a mask of real tokens.

Legend: D width, N tokens, of any shape.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded

Norm = Callable[[int], nn.Module]


class LayerNorm(nn.LayerNorm):
    """Normalises each token separately, so padding does not matter."""

    def forward(self, x_ND: Tensor, real_N: Tensor | None = None) -> Tensor:
        """Return the normalised states."""
        return super().forward(x_ND)


class RmsNorm(nn.RMSNorm):
    """Divides each token by its root mean square, computed in single precision like torch's layer norm."""

    def forward(self, x_ND: Tensor, real_N: Tensor | None = None) -> Tensor:
        """Return the normalised states."""
        return super().forward(x_ND.float())


class OverTokens(nn.Module):
    """A norm with statistics over the tokens of a batch: in training, and with `by_batch` also in evaluation."""

    over_tokens = True
    by_batch = False


class BatchNorm(OverTokens):
    """Normalises each component over the real tokens of the batch in training, by running statistics in evaluation.

    So in training, tokens of a batch influence each other, for every `model/visibility`. A batch with fewer than two
    tokens uses the running statistics. Only training updates these.
    """

    mean_D: Tensor
    variance_D: Tensor

    def __init__(self, width: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("mean_D", torch.zeros(width))
        self.register_buffer("variance_D", torch.ones(width))

    def forward(self, x_ND: Tensor, real_N: Tensor | None = None) -> Tensor:
        """Return the normalised states; padding does not enter the statistics."""
        mean_D, variance_D = self.mean_D, self.variance_D
        counted_ND = x_ND.flatten(0, -2) if real_N is None else x_ND[real_N]
        count = len(counted_ND)
        if (self.training or self.by_batch) and count > 1:
            variance_D, mean_D = torch.var_mean(counted_ND.float(), dim=0, correction=0)
        if self.training and count > 1:
            with torch.no_grad():
                self.mean_D.lerp_(mean_D, self.momentum)
                self.variance_D.lerp_(variance_D * count / (count - 1), self.momentum)  # unbiased variance, as in torch
        return ((x_ND - mean_D) * (variance_D + self.eps).rsqrt() * self.weight + self.bias).to(x_ND.dtype)


def over_tokens(model: nn.Module) -> list[OverTokens]:
    """Return the norms of a model that compute statistics over tokens."""
    return [module for module in model.modules() if isinstance(module, OverTokens)]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let every norm over tokens use batch statistics in evaluation too, inside this context."""
    norms = over_tokens(model)
    for norm in norms:
        norm.by_batch = True
    try:
        yield
    finally:
        for norm in norms:
            norm.by_batch = False


class NoNorm(nn.Module):
    """Returns the states unchanged."""

    def forward(self, x_ND: Tensor, real_N: Tensor | None = None) -> Tensor:
        """Return the states."""
        return x_ND


@bounded
def layer(width: int, *, eps: float, affine: bool) -> nn.Module:
    """Build layer normalisation (Ba et al. 2016, arXiv:1607.06450).

    `affine`: learn scale and shift, 2 * width parameters; without them see Xu et al. 2019, arXiv:1911.07013.
    """
    return LayerNorm(width, eps=eps, elementwise_affine=affine)


@bounded
def rms(width: int, *, eps: float) -> nn.Module:
    """Build root-mean-square normalisation with a learned scale (Zhang & Sennrich 2019, arXiv:1910.07467)."""
    return RmsNorm(width, eps=eps)


@bounded
def batch(width: int, *, eps: float, momentum: float) -> nn.Module:
    """Build batch normalisation with learned scale and shift (Ioffe & Szegedy 2015; in Transformers: Shen et al. 2020).

    `momentum`: weight of a new batch in the running statistics. Raises InputError outside (0, 1).
    """
    return BatchNorm(width, eps, momentum)


def none(width: int) -> nn.Module:
    """Build no normalisation."""
    return NoNorm()
