"""Block: attention and feed-forward with skip connections. Subclasses differ in the position of the norm.

A part that is None is left out, with its norm and its skip connection. Attention returns only the selected states
(`Sight.read_N`); all later steps act on one token at a time.

Legend: D width, N tokens: (B, L), or flat when padding is removed or few states are read.
"""

from torch import Tensor, nn

from bertlab.model.attention import Mixer
from bertlab.model.dropout import Dropout
from bertlab.model.norm import Norm
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight


class Block(nn.Module):
    """One layer; `last` is true for the last layer of a stack."""

    def __init__(
        self, shape: Shape, attention: Mixer | None, feed_forward: nn.Module | None, norm: Norm, last: bool
    ) -> None:
        super().__init__()
        self.skip = shape.skip
        self.attention, self.attention_norm = attention, norm(shape.width) if attention else None
        self.feed_forward, self.feed_forward_norm = feed_forward, norm(shape.width) if feed_forward else None
        self.dropout = Dropout(shape.dropout)

    def join(self, x_ND: Tensor, change_ND: Tensor) -> Tensor:
        """Add a part's output to its input, or return the output alone without skip connections."""
        change_ND = self.dropout(change_ND)
        return x_ND + change_ND if self.skip else change_ND


class PostNorm(Block):
    """x = norm(x + part(x)), for attention and then feed-forward (Vaswani et al. 2017; Devlin et al. 2018)."""

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D)."""
        read_ND = sight.only_read(x_ND)
        if self.attention and self.attention_norm:
            read_ND = self.attention_norm(self.join(read_ND, self.attention(x_ND, sight)), sight.real_BL)
        if self.feed_forward and self.feed_forward_norm:
            read_ND = self.feed_forward_norm(self.join(read_ND, self.feed_forward(read_ND)), sight.real_BL)
        return read_ND


class PreNorm(Block):
    """x = x + part(norm(x)), and one more norm after the last block (Xiong et al. 2020, arXiv:2002.04745)."""

    def __init__(
        self, shape: Shape, attention: Mixer | None, feed_forward: nn.Module | None, norm: Norm, last: bool
    ) -> None:
        super().__init__(shape, attention, feed_forward, norm, last)
        self.final_norm = norm(shape.width) if last else None

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D)."""
        read_ND = sight.only_read(x_ND)
        if self.attention and self.attention_norm:
            read_ND = self.join(read_ND, self.attention(self.attention_norm(x_ND, sight.real_BL), sight))
        if self.feed_forward and self.feed_forward_norm:
            read_ND = self.join(read_ND, self.feed_forward(self.feed_forward_norm(read_ND, sight.real_BL)))
        return self.final_norm(read_ND, sight.real_BL) if self.final_norm else read_ND
