"""Attention that compares directions: how long queries and keys are plays no part.

Legend: B batch, L length, H heads, K head width.
"""

import math
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from bertlab.config.bounds import bounded
from bertlab.model.attention import Mix, SelfAttention
from bertlab.model.shape import Shape


class Roles(TypedDict):
    """What makes queries, keys and values, and whether heads are projected back, as in `SelfAttention`."""

    query: str | None
    key: str | None
    value: str | None
    output: bool


class QkNorm(SelfAttention):
    """Scores g cos(Q, K) instead of Q K^T / sqrt(K) (Henry et al. 2020, arXiv:2010.04245, sec. 3.1).

    Queries and keys are divided by their lengths, head by head. g is one learned number a layer and starts at `start`;
    the paper takes log2(L^2 - L). With another model/scale than sqrt the scores are that times sqrt(K) larger.
    """

    @bounded
    def __init__(self, shape: Shape, mix: Mix, *, start: float, **roles: Unpack[Roles]) -> None:
        super().__init__(shape, mix, **roles)
        self.gain = nn.Parameter(torch.tensor(float(start)))

    def compared(self, query_BHLK: Tensor, key_BHLK: Tensor) -> tuple[Tensor, Tensor]:
        """Return both at length 1, queries times g sqrt(K): the scale of scores takes the root out again."""
        factor = self.gain * math.sqrt(query_BHLK.shape[-1])
        query_BHLK, key_BHLK = (normalize(x_BHLK, dim=-1) for x_BHLK in (query_BHLK, key_BHLK))
        return (factor * query_BHLK).to(key_BHLK.dtype), key_BHLK
