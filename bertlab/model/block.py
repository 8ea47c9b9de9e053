"""Block: attention and feed-forward with skip connections; where the norm stands is the block's business."""

from collections.abc import Callable

from torch import Tensor, nn

from bertlab.model.position import Position
from bertlab.model.shape import Shape


class PostNorm(nn.Module):
    """x = norm(x + part(x)), for attention and then feed-forward (Vaswani et al. 2017; Devlin et al. 2018)."""

    def __init__(
        self, shape: Shape, attention: nn.Module, feed_forward: nn.Module, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.attention, self.attention_norm = attention, norm(shape.width)
        self.feed_forward, self.feed_forward_norm = feed_forward, norm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x_BLD: Tensor, real_BL: Tensor | None, position: Position) -> Tensor:
        """Return (B, L, D)."""
        x_BLD = self.attention_norm(x_BLD + self.dropout(self.attention(x_BLD, real_BL, position)))
        return self.feed_forward_norm(x_BLD + self.dropout(self.feed_forward(x_BLD)))  # type: ignore[no-any-return]
