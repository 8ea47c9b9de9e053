"""Attention by cosine similarity: the lengths of queries and keys do not matter.

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
    """Projections of queries, keys and values, and whether there is an output projection, as in `SelfAttention`."""

    query: str | None
    key: str | None
    value: str | None
    output: bool


class QkNorm(SelfAttention):
    """Scores g cos(Q, K) instead of Q K^T / sqrt(K) (Henry et al. 2020, arXiv:2010.04245, sec. 3.1).

    Queries and keys are normalised in each head. g is one learned number per layer with initial value `start`; the
    paper uses log2(L^2 - L). With a model/scale other than sqrt, scores are larger by the factor scale * sqrt(K).
    """

    @bounded
    def __init__(self, shape: Shape, mix: Mix, *, start: float, **roles: Unpack[Roles]) -> None:
        super().__init__(shape, mix, **roles)
        self.gain = nn.Parameter(torch.tensor(float(start)))

    def compared(self, query_BHLK: Tensor, key_BHLK: Tensor) -> tuple[Tensor, Tensor]:
        """Return both at length 1, queries times g sqrt(K): the score scale divides by sqrt(K) again."""
        factor = self.gain * math.sqrt(query_BHLK.shape[-1])
        query_BHLK, key_BHLK = (normalize(x_BHLK, dim=-1) for x_BHLK in (query_BHLK, key_BHLK))
        return (factor * query_BHLK).to(key_BHLK.dtype), key_BHLK
