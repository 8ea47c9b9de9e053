"""Embedding: token ids and segment ids -> input states of the first layer.

Legend: B batch, L length, D width, H heads, K head width.
"""

import math

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError
from bertlab.model.attention import split
from bertlab.model.dropout import Dropout
from bertlab.model.norm import Norm
from bertlab.model.position import Position
from bertlab.model.shape import Shape


class Embedding(nn.Module):
    """Tables of tokens and, unless `segment` is false, of segments; subclasses combine them."""

    reads_cls = False  # whether it treats the first token as [CLS]
    score_share = 1.0  # factor on token scores if other scores are added to them

    @bounded
    def __init__(self, shape: Shape, position: Position, norm: Norm, *, segment: bool) -> None:
        super().__init__()
        self.token = nn.Embedding(shape.vocab_size, shape.width)
        self.segment = nn.Embedding(shape.segment_types, shape.width) if segment else None
        self.position = position
        self.norm = norm(shape.width)
        self.dropout = Dropout(shape.dropout)

    def forward(self, ids_BL: Tensor, segments_BL: Tensor, real_BL: Tensor | None = None) -> Tensor:
        """Return the states (B, L, D)."""
        return self.dropout(self.norm(self.join(ids_BL, segments_BL), real_BL))  # type: ignore[no-any-return]

    def join(self, ids_BL: Tensor, segments_BL: Tensor) -> Tensor:
        """Return the combined embeddings (B, L, D), before the norm."""
        raise NotImplementedError

    def correlation(self, length: int) -> Tensor | None:
        """Return scores between positions (H, L, L), before scaling; None if there are none."""
        return None


class Sum(Embedding):
    """Token + segment + position, normalised (Devlin et al. 2018, fig. 2)."""

    def join(self, ids_BL: Tensor, segments_BL: Tensor) -> Tensor:
        """Return the sum."""
        x_BLD: Tensor = self.token(ids_BL)
        if self.segment:
            x_BLD = x_BLD + self.segment(segments_BL)
        position_LD = self.position.vectors(ids_BL.shape[1])
        return x_BLD if position_LD is None else x_BLD + position_LD


class Concat(Embedding):
    """Token, segment and position concatenated, then projected to the width. `Sum` is the special case of identities.

    At most 3 D * D more parameters than the sum. Positions without vectors need no columns.
    """

    def __init__(self, shape: Shape, position: Position, norm: Norm, *, segment: bool) -> None:
        super().__init__(shape, position, norm, segment=segment)
        tables = 1 + segment + (position.vectors(1) is not None)
        self.project = nn.Linear(tables * shape.width, shape.width, bias=False)

    def join(self, ids_BL: Tensor, segments_BL: Tensor) -> Tensor:
        """Return the projection of the concatenation, in the order token, segment, position."""
        tables = [self.token(ids_BL)]
        if self.segment:
            tables.append(self.segment(segments_BL))
        position_LD = self.position.vectors(ids_BL.shape[1])
        if position_LD is not None:
            tables.append(position_LD.expand(len(ids_BL), -1, -1))
        return self.project(torch.cat(tables, dim=-1))  # type: ignore[no-any-return]


class Untied(Embedding):
    """Positions interact with tokens only in the scores: (token with token + position with position) / sqrt(2).

    All layers share the position scores (p_i U_Q) (p_j U_K)^T. If [CLS] is the query or the key, a learned number of
    each head replaces the score (Ke et al. 2021, TUPE-A without relative positions, arXiv:2006.15595, sec. 3).
    """

    reads_cls = True
    score_share = 1 / math.sqrt(2)

    def __init__(self, shape: Shape, position: Position, norm: Norm, *, segment: bool) -> None:
        super().__init__(shape, position, norm, segment=segment)
        if position.vectors(1) is None:
            raise InputError(
                f"model/embedding=untied correlates vectors of positions, got {type(position).__name__}, "
                "which has none; choose model/position=learned or sinusoidal"
            )
        self.heads = shape.heads
        self.position_norm = norm(shape.width)
        self.position_query = nn.Linear(shape.width, shape.heads_width, bias=False)
        self.position_key = nn.Linear(shape.width, shape.heads_width, bias=False)
        self.from_cls_bias = nn.Parameter(self.token.weight.new_zeros(shape.heads))
        self.to_cls_bias = nn.Parameter(self.token.weight.new_zeros(shape.heads))

    def join(self, ids_BL: Tensor, segments_BL: Tensor) -> Tensor:
        """Return token + segment."""
        x_BLD: Tensor = self.token(ids_BL)
        return x_BLD + self.segment(segments_BL) if self.segment else x_BLD

    def correlation(self, length: int) -> Tensor:
        """Return the scores between positions; [CLS] is position 0."""
        position_1LD = self.position_norm(self.position.vectors(length))[None]
        query_HLK = split(self.position_query(position_1LD), self.heads)[0]
        key_HLK = split(self.position_key(position_1LD), self.heads)[0]
        place_L = torch.arange(length, device=position_1LD.device)
        score_HLL = torch.where(place_L == 0, self.to_cls_bias[:, None, None], query_HLK @ key_HLK.mT)
        return torch.where(place_L[:, None] == 0, self.from_cls_bias[:, None, None], score_HLL)
