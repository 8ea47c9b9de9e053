"""Layers without biases, as in PaLM (Chowdhery et al. 2022, arXiv:2204.02311) and ModernBERT (arXiv:2412.13663).

Other norms without biases are model/norm=rms and layer_plain.
"""

from typing import Unpack

from torch import nn

from bertlab.config.bounds import bounded
from bertlab.model.attention import Mix, SelfAttention
from bertlab.model.feed_forward import FeedForward, GatedFeedForward
from bertlab.model.norm import LayerNorm
from bertlab.model.qk_norm import Roles
from bertlab.model.shape import Shape


class NoBiasAttention(SelfAttention):
    """Self-attention whose projections have no biases."""

    def __init__(self, shape: Shape, mix: Mix, **roles: Unpack[Roles]) -> None:
        super().__init__(shape, mix, **roles)
        without_biases(self)


class NoBiasFeedForward(FeedForward):
    """The feed-forward layer with the exact GELU, without biases."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, nn.GELU())
        without_biases(self)


class NoBiasGated(GatedFeedForward):
    """GEGLU without biases, as in ModernBERT."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        without_biases(self)


@bounded
def layer(width: int, *, eps: float) -> nn.Module:
    """Build layer normalisation with a learned scale and no shift, as in ModernBERT (sec. 2.1.1)."""
    return LayerNorm(width, eps=eps, bias=False)


def without_biases(module: nn.Module) -> None:
    """Remove the biases of all dense layers."""
    for each in module.modules():
        if isinstance(each, nn.Linear):
            each.bias = None  # type: ignore[assignment]
