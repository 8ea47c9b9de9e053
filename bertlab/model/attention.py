"""Self-attention: every token looks at every real token.

Legend: B batch, L length, D width, H heads, K head width.
"""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from bertlab.model.position import Position
from bertlab.model.shape import Shape


class SelfAttention(nn.Module):
    """softmax(Q K^T / sqrt(K)) V in H heads (Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)
        self.output = nn.Linear(shape.width, shape.width)

    def forward(self, x_BLD: Tensor, real_BL: Tensor | None, position: Position) -> Tensor:
        """Return (B, L, D); keys at padding (False in `real_BL`) get no weight."""
        query_BHLK = position.rotate(self._split(self.query(x_BLD)))
        key_BHLK = position.rotate(self._split(self.key(x_BLD)))
        value_BHLK = self._split(self.value(x_BLD))
        mixed_BHLK = scaled_dot_product_attention(
            query_BHLK,
            key_BHLK,
            value_BHLK,
            attn_mask=None if real_BL is None else real_BL[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.output(mixed_BHLK.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split(self, x_BLD: Tensor) -> Tensor:
        return x_BLD.view(*x_BLD.shape[:2], self.heads, -1).transpose(1, 2)
