"""Initial weights, keyed by parameter name: models that share a name and a seed start from the same values there."""

import math

import torch
from torch import nn

from bertlab.streams import Streams

STD = 0.02  # Devlin et al. 2018, released code: normal truncated at two standard deviations


@torch.no_grad()
def initialise(model: nn.Module, streams: Streams) -> None:
    """Set matrices and embeddings to truncated normal values, biases to 0; scales of norms keep their 1."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        elif parameter.ndim >= 2:
            parameter.copy_(_truncated_normal(parameter.shape, streams, f"init/{name}"))


def _truncated_normal(shape: torch.Size, streams: Streams, name: str) -> torch.Tensor:
    """Draw by the inverse of the cumulative distribution, which needs one uniform number a value."""
    tail = 0.5 * (1 + math.erf(-2 / math.sqrt(2)))
    uniform = streams.generator(name).uniform(tail, 1 - tail, shape)
    standard: torch.Tensor = torch.special.ndtri(torch.from_numpy(uniform))
    return (STD * standard).float()
