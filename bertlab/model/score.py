"""Scores of queries and keys -> weighted sum of values.

Legend: B batch, L length, H heads, K head width.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from bertlab.model.dropout import dropout as drop
from bertlab.model.sight import Sight


def softmax(
    query_BHLK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, sight: Sight, scale: float, dropout: float
) -> Tensor:
    """Return softmax(scale * Q K^T + bias) V by torch's fused kernel (Vaswani et al. 2017, arXiv:1706.03762, eq. 1).

    A token that may attend to no token gets zeros.
    """
    if dropout and query_BHLK.device.type == "cpu":  # torch's fused CPU kernel has no dropout
        return _softmax_dropping(query_BHLK, key_BHLK, value_BHLK, sight, scale, dropout)
    mask = sight.allowed
    if sight.bias is not None:
        mask = sight.bias.to(query_BHLK.dtype)
        mask = mask if sight.allowed is None else mask.masked_fill(~sight.allowed, -math.inf)
    return functional.scaled_dot_product_attention(
        query_BHLK, key_BHLK, value_BHLK, attn_mask=mask, dropout_p=dropout, scale=scale
    )


def _softmax_dropping(
    query_BHLK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, sight: Sight, scale: float, dropout: float
) -> Tensor:
    """Compute `softmax` with dropout of weights, from plain products."""
    score_BHLL = scale * query_BHLK @ key_BHLK.mT
    if sight.bias is not None:
        score_BHLL += sight.bias
    if sight.allowed is None:
        return drop(score_BHLL.softmax(-1), dropout) @ value_BHLK
    lowest = torch.finfo(score_BHLL.dtype).min  # not -inf, so that the gradient of a fully masked row is finite
    score_BHLL += torch.where(sight.allowed, 0.0, lowest)
    mixed_BHLK = drop(score_BHLL.softmax(-1), dropout) @ value_BHLK
    seeing = sight.allowed.any(-1, keepdim=True)
    return mixed_BHLK if seeing.all() else mixed_BHLK.masked_fill(~seeing, 0)


def linear(
    query_BHLK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, sight: Sight, scale: float, dropout: float
) -> Tensor:
    """Return (scale * Q K^T + bias) V / n: attention without softmax, linear in each of Q, K and V.

    n is the number of allowed tokens. Softmax weights sum to 1; the division by n likewise keeps the result independent
    of the number of tokens. Katharopoulos et al. 2020 (arXiv:2006.16236) with the identity as feature map.
    """
    weight_BHLL = scale * query_BHLK @ key_BHLK.mT
    if sight.bias is not None:
        weight_BHLL = weight_BHLL + sight.bias
    if sight.allowed is None:
        weight_BHLL = weight_BHLL / key_BHLK.shape[2]
    else:
        weight_BHLL = weight_BHLL * (sight.allowed / sight.allowed.sum(-1, keepdim=True).clamp(min=1))
    return drop(weight_BHLL, dropout).to(value_BHLK.dtype) @ value_BHLK
