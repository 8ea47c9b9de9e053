"""Initial weights, keyed by parameter name: two models with the same seed start equal where names are equal.

Legend: V vocabulary.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bertlab.model.bert import Bert
from bertlab.streams import Streams


@torch.no_grad()
def initialise(model: Bert, streams: Streams) -> None:
    """Draw embeddings and matrices from a truncated normal (two standard deviations); biases are 0, norm scales 1.

    Standard deviations before truncation: the model's `embedding_std` and `dense_std`; Devlin et al. 2018 use 0.02 for
    both. With `dense_gain` a matrix has gain / sqrt(fan-in) instead: states of variance 1 then keep their variance at
    any width (LeCun et al. 1998, "Efficient BackProp", sec. 4.6).
    """
    for place, module in model.named_modules():
        for own, parameter in module.named_parameters(prefix=place, recurse=False):
            if own.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim >= 2:
                is_table = isinstance(module, nn.Embedding)
                std = model.shape.embedding_std if is_table else model.shape.matrix_std(parameter.shape[-1])
                parameter.copy_(std * _truncated_normal(parameter.shape, streams, f"init/{own}"))
    model.position.start()


@torch.no_grad()
def start_at_unigram(model: Bert, unigram_V: npt.NDArray[np.float64]) -> None:
    """Set the output bias to the log-probabilities of tokens, if the model asks for it (`unigram_bias`).

    With states near 0 the model then starts at the unigram loss and need not learn frequencies first (Meister et al.
    2023, arXiv:2212.09686). Special tokens (nan in `unigram_V`) are never predicted and get the lowest bias.
    """
    if model.shape.unigram_bias:
        lowest = float(np.nanmin(unigram_V))
        model.mlm_head.bias.copy_(torch.from_numpy(np.nan_to_num(unigram_V, nan=lowest)))


def _truncated_normal(shape: torch.Size, streams: Streams, name: str) -> torch.Tensor:
    """Draw by the inverse cumulative distribution: one uniform number per value."""
    tail = 0.5 * (1 + math.erf(-2 / math.sqrt(2)))
    uniform = streams.generator(name).uniform(tail, 1 - tail, shape)
    standard: torch.Tensor = torch.special.ndtri(torch.from_numpy(uniform))
    return standard.float()
