"""Normalisation of the token states."""

from torch import nn


def layer(width: int, *, eps: float) -> nn.Module:
    """Layer normalisation with learned scale and shift (Ba et al. 2016, arXiv:1607.06450); 2 * width parameters."""
    return nn.LayerNorm(width, eps=eps)
