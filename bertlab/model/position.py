"""Position: how the order of tokens enters the model, at the embedding, at queries and keys, or not at all.

Legend: B batch, L length, D width, H heads, K head width.
"""

import torch
from torch import Tensor, nn

from bertlab.errors import InputError, open_interval, whole_number
from bertlab.model.shape import Shape


class Position(nn.Module):
    """No position at all; each variant overrides the place where it enters."""

    def embed(self, x_BLD: Tensor) -> Tensor:
        """Add position to token embeddings."""
        return x_BLD

    def rotate(self, x_BHLK: Tensor) -> Tensor:
        """Turn queries or keys by their position."""
        return x_BHLK


class Learned(Position):
    """A learned vector for each absolute position, added to the token embedding (Devlin et al. 2018, sec. 3)."""

    def __init__(self, shape: Shape, *, positions: int) -> None:
        super().__init__()
        whole_number("model.position.positions", positions, 1)
        if shape.length > positions:
            raise InputError(
                f"batch.length must be at most model.position.positions {positions}, got {shape.length}; "
                "raise the one or lower the other"
            )
        self.table = nn.Embedding(positions, shape.width)

    def embed(self, x_BLD: Tensor) -> Tensor:
        """Add position l's vector to every token at l."""
        return x_BLD + self.table.weight[: x_BLD.shape[1]]


class Rotary(Position):
    """Turn each pair of query and key components by an angle proportional to position (Su et al. 2021, RoFormer).

    Pair k of K/2 turns by l * base^(-2k/K) at position l, so that scores depend on the distance of two tokens
    (arXiv:2104.09864, sec. 3.2). Halves are paired (k with k + K/2) instead of neighbours, which only reorders
    components. There is nothing to learn.
    """

    cos_LK: Tensor
    sin_LK: Tensor

    def __init__(self, shape: Shape, *, base: float) -> None:
        super().__init__()
        open_interval("model.position.base", base, 1, 1e9)
        if shape.head_width % 2:
            raise InputError(
                f"model.position=rotary needs an even head width, got width/heads = {shape.head_width}; "
                "change model.width or model.heads"
            )
        frequency = base ** -(torch.arange(0, shape.head_width, 2) / shape.head_width)
        angle_LK = torch.outer(torch.arange(shape.length), frequency).repeat(1, 2)
        self.register_buffer("cos_LK", angle_LK.cos(), persistent=False)
        self.register_buffer("sin_LK", angle_LK.sin(), persistent=False)

    def rotate(self, x_BHLK: Tensor) -> Tensor:
        """Turn every vector by its position's angles."""
        length = x_BHLK.shape[2]
        first, second = x_BHLK.chunk(2, dim=-1)
        return x_BHLK * self.cos_LK[:length] + torch.cat((-second, first), dim=-1) * self.sin_LK[:length]
