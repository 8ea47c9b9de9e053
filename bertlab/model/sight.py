"""Context of a layer: attention mask, positions, packing and selected positions.

Legend: B batch, L length, D width, H heads, N tokens: (B, L), or flat, R most selected positions in a sequence.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bertlab.model.packing import Asking, Packing
from bertlab.model.position import Position


@dataclass(frozen=True)
class Sight:
    """Equal for all layers of a forward pass, except `source_ND`, `read_N` and `asking`."""

    position: Position
    real_BL: Tensor | None = None  # bool, False at padding; None without padding
    allowed: Tensor | None = None  # bool, broadcast to (B, H, L, L): may this query attend to this key; None: yes
    bias: Tensor | None = None  # added to the scores of attention, broadcast to (B, H, L, L)
    source_ND: Tensor | None = None  # states for keys and values; None: the layer's own input
    packing: Packing | None = None  # states are packed, (N, D); None: they are (B, L, D)
    read_N: Tensor | None = None  # selected positions after this layer, in flat or packed states; None: all
    asking: Asking | None = None  # rows of the query positions; None: all tokens are queries
    column_BL: Tensor | None = None  # columns of the tokens in their sequences; None: 0, 1, 2, ...

    def rows(self, x_ND: Tensor) -> Tensor:
        """Return states as padded rows (B, L, D), in which tokens can attend to each other."""
        return x_ND if self.packing is None else self.packing.unpack(x_ND)

    def tokens(self, x_BLD: Tensor) -> Tensor:
        """Return rows as states of the layer: the inverse of `rows`."""
        return x_BLD if self.packing is None else self.packing.pack(x_BLD)

    def only_read(self, x_ND: Tensor) -> Tensor:
        """Return the selected states."""
        return x_ND if self.read_N is None else x_ND.flatten(0, -2).index_select(0, self.read_N)

    def of_asking(self) -> "Sight":
        """Return the same context for query positions only, (B, R) instead of (B, L)."""
        if self.asking is None:
            return self
        column_BR, packing = self.asking.column_BR, self.asking.packing
        return replace(
            self,
            real_BL=packing.filled(),
            allowed=_of_queries(self.allowed, column_BR),
            bias=_of_queries(self.bias, column_BR),
            packing=packing,
            read_N=None,
            asking=None,
            column_BL=column_BR,
        )


def _of_queries(each: Tensor | None, column_BR: Tensor) -> Tensor | None:
    """Select query rows: (B, H, L, L) -> (B, H, R, L); a mask that is equal for all queries stays unchanged."""
    if each is None or each.shape[-2] == 1:
        return each
    each_BHLL = each[(None,) * (4 - each.ndim)]
    return torch.take_along_dim(each_BHLL, column_BR[:, None, :, None], dim=2)


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Return the conjunction of two masks; None allows everything."""
    if first is None or second is None:
        return second if first is None else first
    return first & second
