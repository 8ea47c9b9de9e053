"""Heads: predictions from the encoder's states.

Legend: B batch, D width, M predicted positions.
"""

from torch import Tensor, nn

from bertlab.model.norm import Norm
from bertlab.model.shape import Shape


class MlmHead(nn.Module):
    """Transform of the states of predicted positions before scoring, and a bias for each token (Devlin et al. 2018).

    Its activation is GELU and its norm is the model's, for every choice of feed-forward layer and block.
    """

    def __init__(self, shape: Shape, norm: Norm) -> None:
        super().__init__()
        self.transform = nn.Linear(shape.width, shape.width)
        self.activation = nn.GELU()
        self.norm = norm(shape.width)
        self.bias = nn.Parameter(nn.init.zeros_(self.transform.weight.new_empty(shape.vocab_size)))

    def forward(self, x_MD: Tensor) -> Tensor:
        """Return the states of the predicted positions, transformed (M, D)."""
        return self.norm(self.activation(self.transform(x_MD)))  # type: ignore[no-any-return]


class PairHead(nn.Module):
    """A dense layer and tanh on the pooled states, then a classifier `follows` / `random` (Devlin et al. 2018)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.pool = nn.Linear(shape.width, shape.width)
        self.classify = nn.Linear(shape.width, 2)

    def forward(self, pooled_BD: Tensor) -> Tensor:
        """Return logits (B, 2)."""
        return self.classify(self.transformed(pooled_BD))  # type: ignore[no-any-return]

    def transformed(self, pooled_BD: Tensor) -> Tensor:
        """Return the input of the classifier (B, D)."""
        return self.pool(pooled_BD).tanh()  # type: ignore[no-any-return]
