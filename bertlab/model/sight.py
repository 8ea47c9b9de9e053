"""What a layer is told beside its states: whom a token may look at, and how position enters.

Legend: B batch, L length, D width, H heads, N tokens: (B, L), or flat.
"""

from dataclasses import dataclass

from torch import Tensor

from bertlab.model.packing import Packing
from bertlab.model.position import Position


@dataclass(frozen=True)
class Sight:
    """The same for all layers of a pass, but for `source_ND` and `read_N`."""

    position: Position
    real_BL: Tensor | None = None  # bool, False at padding; None when nothing is padded
    allowed: Tensor | None = None  # bool, broadcast to (B, H, L, L): may this query look at this key; None: yes
    bias_HLL: Tensor | None = None  # added to the scores of attention
    source_ND: Tensor | None = None  # states that keys and values are made of; None: the layer's own
    packing: Packing | None = None  # states of a layer are packed, (N, D); None: they are (B, L, D)
    read_N: Tensor | None = None  # places, in flat or packed states, that anyone reads after this layer; None: all

    def rows(self, x_ND: Tensor) -> Tensor:
        """Return states as rows (B, L, D), in which tokens can look at each other."""
        return x_ND if self.packing is None else self.packing.unpack(x_ND)

    def tokens(self, x_BLD: Tensor) -> Tensor:
        """Return rows as states of the layer again: `rows` backwards."""
        return x_BLD if self.packing is None else self.packing.pack(x_BLD)

    def only_read(self, x_ND: Tensor) -> Tensor:
        """Return the states that are read after this layer."""
        return x_ND if self.read_N is None else x_ND.flatten(0, -2).index_select(0, self.read_N)


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Allow what both allow; None allows everything."""
    if first is None or second is None:
        return second if first is None else first
    return first & second
