"""Initial weights, keyed by parameter name: models that share a name and a seed start from the same values there."""

import math

import torch
from torch import nn

from bertlab.model.bert import Bert
from bertlab.streams import Streams


@torch.no_grad()
def initialise(model: Bert, streams: Streams) -> None:
    """Draw embeddings and matrices from a normal cut at two deviations, set biases to 0; scales of norms keep their 1.

    Deviations before the cut: the model's `embedding_std` and `dense_std`; Devlin et al. 2018 have 0.02 for both.
    """
    for place, module in model.named_modules():
        std = model.shape.embedding_std if isinstance(module, nn.Embedding) else model.shape.dense_std
        for own, parameter in module.named_parameters(prefix=place, recurse=False):
            if own.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim >= 2:
                parameter.copy_(std * _truncated_normal(parameter.shape, streams, f"init/{own}"))


def _truncated_normal(shape: torch.Size, streams: Streams, name: str) -> torch.Tensor:
    """Draw by the inverse of the cumulative distribution, which needs one uniform number a value."""
    tail = 0.5 * (1 + math.erf(-2 / math.sqrt(2)))
    uniform = streams.generator(name).uniform(tail, 1 - tail, shape)
    standard: torch.Tensor = torch.special.ndtri(torch.from_numpy(uniform))
    return standard.float()
