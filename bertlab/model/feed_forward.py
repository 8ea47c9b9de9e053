"""Feed-forward layer: each token by itself."""

from torch import Tensor, nn

from bertlab.model.shape import Shape


class FeedForward(nn.Module):
    """Two dense layers with the exact GELU between them (Devlin et al. 2018; Hendrycks & Gimpel 2016)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.expand = nn.Linear(shape.width, shape.inner)
        self.activation = nn.GELU()
        self.contract = nn.Linear(shape.inner, shape.width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Return (B, L, D)."""
        return self.contract(self.activation(self.expand(x_BLD)))  # type: ignore[no-any-return]
