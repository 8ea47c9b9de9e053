"""Feed-forward layer: acts on each token separately."""

from torch import Tensor, nn
from torch.nn.functional import gelu as gelu_of

from bertlab.model.shape import Shape


class FeedForward(nn.Module):
    """Two dense layers with an activation between them (Vaswani et al. 2017, sec. 3.3)."""

    def __init__(self, shape: Shape, activation: nn.Module) -> None:
        super().__init__()
        self.expand = nn.Linear(shape.width, shape.inner)
        self.activation = activation
        self.contract = nn.Linear(shape.inner, shape.width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Return (B, L, D)."""
        return self.contract(self.activation(self.expand(x_BLD)))  # type: ignore[no-any-return]


class GatedFeedForward(nn.Module):
    """contract(gelu(gate(x)) * expand(x)), with 2/3 of the inner width (Shazeer 2020, arXiv:2002.05202, GEGLU).

    Three matrices of 2/3 the inner width, rounded, have as many parameters as the two of the plain layer.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inner = max(1, round(2 * shape.inner / 3))
        self.gate = nn.Linear(shape.width, inner)
        self.expand = nn.Linear(shape.width, inner)
        self.contract = nn.Linear(inner, shape.width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Return (B, L, D)."""
        return self.contract(gelu_of(self.gate(x_BLD)) * self.expand(x_BLD))  # type: ignore[no-any-return]


def gelu(shape: Shape) -> FeedForward:
    """Build the layer with the exact GELU (Devlin et al. 2018; Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    return FeedForward(shape, nn.GELU())


def relu(shape: Shape) -> FeedForward:
    """Build the layer with max(0, x), as in the Transformer (Vaswani et al. 2017, eq. 2)."""
    return FeedForward(shape, nn.ReLU())


def linear(shape: Shape) -> FeedForward:
    """Build the layer without activation: the same number of parameters, but equivalent to one matrix."""
    return FeedForward(shape, nn.Identity())


def none(shape: Shape) -> None:
    """Leave out the layer, its norm and its skip connection."""
