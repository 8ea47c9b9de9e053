"""What a layer is told beside its states: whom a token may look at, and how position enters.

Legend: B batch, L length, D width, H heads, N tokens: (B, L), or flat, R the most positions read of a sequence.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bertlab.model.packing import Asking, Packing
from bertlab.model.position import Position


@dataclass(frozen=True)
class Sight:
    """The same for all layers of a pass, but for `source_ND`, `read_N` and `asking`."""

    position: Position
    real_BL: Tensor | None = None  # bool, False at padding; None when nothing is padded
    allowed: Tensor | None = None  # bool, broadcast to (B, H, L, L): may this query look at this key; None: yes
    bias: Tensor | None = None  # added to the scores of attention, broadcast to (B, H, L, L)
    source_ND: Tensor | None = None  # states that keys and values are made of; None: the layer's own
    packing: Packing | None = None  # states of a layer are packed, (N, D); None: they are (B, L, D)
    read_N: Tensor | None = None  # places, in flat or packed states, that anyone reads after this layer; None: all
    asking: Asking | None = None  # rows of those alone; None: all tokens ask
    column_BL: Tensor | None = None  # where the tokens of rows stand in their sequences; None: one after the other

    def rows(self, x_ND: Tensor) -> Tensor:
        """Return states as rows (B, L, D), in which tokens can look at each other."""
        return x_ND if self.packing is None else self.packing.unpack(x_ND)

    def tokens(self, x_BLD: Tensor) -> Tensor:
        """Return rows as states of the layer again: `rows` backwards."""
        return x_BLD if self.packing is None else self.packing.pack(x_BLD)

    def only_read(self, x_ND: Tensor) -> Tensor:
        """Return the states that are read after this layer."""
        return x_ND if self.read_N is None else x_ND.flatten(0, -2).index_select(0, self.read_N)

    def of_asking(self) -> "Sight":
        """Return the same for the rows of tokens that ask: who looks at whom, and from where, (B, R) for (B, L)."""
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
    """Return (B, H, R, L) of what broadcasts to (B, H, L, L); what is the same for all queries stays as it is."""
    if each is None or each.shape[-2] == 1:
        return each
    each_BHLL = each[(None,) * (4 - each.ndim)]
    return torch.take_along_dim(each_BHLL, column_BR[:, None, :, None], dim=2)


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Allow what both allow; None allows everything."""
    if first is None or second is None:
        return second if first is None else first
    return first & second
