"""Softmax attention with bounded scores.

Legend: B batch, L length, H heads, K head width.
"""

import torch
from torch import Tensor

from bertlab.model.dropout import dropout as drop
from bertlab.model.sight import Sight


def soft_cap(
    query_BHLK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, sight: Sight, scale: float, dropout: float, *, cap: float
) -> Tensor:
    """Return softmax(cap tanh(scale Q K^T / cap) + bias) V (Gemma Team 2024, arXiv:2408.00118, sec. 2: cap 50).

    A token that may attend to no token gets zeros.
    """
    score_BHLL = cap * torch.tanh(scale * query_BHLK @ key_BHLK.mT / cap)
    if sight.bias is not None:
        score_BHLL = score_BHLL + sight.bias
    if sight.allowed is not None:
        lowest = torch.finfo(score_BHLL.dtype).min  # not -inf: its gradient is nan in a fully masked row
        score_BHLL = score_BHLL.masked_fill(~sight.allowed, lowest)
    mixed_BHLK = drop(score_BHLL.softmax(-1), dropout).to(value_BHLK.dtype) @ value_BHLK
    if sight.allowed is None:
        return mixed_BHLK
    return mixed_BHLK.masked_fill(~sight.allowed.any(-1, keepdim=True), 0)
