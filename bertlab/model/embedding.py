"""Embedding: token ids and segments -> the states that enter the first layer.

Legend: B batch, L length, D width.
"""

from collections.abc import Callable

from torch import Tensor, nn

from bertlab.model.position import Position
from bertlab.model.shape import Shape


class Sum(nn.Module):
    """Token + position + segment, normalised (Devlin et al. 2018, fig. 2)."""

    def __init__(self, shape: Shape, position: Position, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.token = nn.Embedding(shape.vocab_size, shape.width)
        self.segment = nn.Embedding(shape.segment_types, shape.width)
        self.position = position
        self.norm = norm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, ids_BL: Tensor, segments_BL: Tensor) -> Tensor:
        """Return the states (B, L, D)."""
        x_BLD = self.position.embed(self.token(ids_BL) + self.segment(segments_BL))
        return self.dropout(self.norm(x_BLD))  # type: ignore[no-any-return]
