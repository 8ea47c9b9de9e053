"""Heads: what is read off the encoder's states.

Legend: B batch, D width, V vocabulary, M predicted positions.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import linear

from bertlab.model.shape import Shape


class MlmHead(nn.Module):
    """Transform, then score each token of the vocabulary with the token embedding itself (Devlin et al. 2018)."""

    def __init__(self, shape: Shape, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.transform = nn.Linear(shape.width, shape.width)
        self.activation = nn.GELU()
        self.norm = norm(shape.width)
        self.bias = nn.Parameter(nn.init.zeros_(self.transform.weight.new_empty(shape.vocab_size)))

    def forward(self, x_MD: Tensor, token_VD: Tensor) -> Tensor:
        """Return logits (M, V) for the states of the predicted positions only."""
        return linear(self.norm(self.activation(self.transform(x_MD))), token_VD, self.bias)


class PairHead(nn.Module):
    """Pool [CLS] with a dense layer and tanh, then tell `follows` from `random` (Devlin et al. 2018)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.pool = nn.Linear(shape.width, shape.width)
        self.classify = nn.Linear(shape.width, 2)

    def forward(self, cls_BD: Tensor) -> Tensor:
        """Return logits (B, 2)."""
        return self.classify(self.pool(cls_BD).tanh())  # type: ignore[no-any-return]
