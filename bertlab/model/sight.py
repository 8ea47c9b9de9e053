"""What a layer is told beside its states: whom a token may look at, and how position enters.

Legend: B batch, L length, D width, H heads, N positions.
"""

from dataclasses import dataclass

from torch import Tensor

from bertlab.model.position import Position


@dataclass(frozen=True)
class Sight:
    """The same for all layers of a pass, but for `source_BLD` and `read_N`."""

    position: Position
    real_BL: Tensor | None = None  # bool, False at padding; None when nothing is padded
    allowed: Tensor | None = None  # bool, broadcast to (B, H, L, L): may this query look at this key; None: yes
    bias_HLL: Tensor | None = None  # added to the scores of attention
    source_BLD: Tensor | None = None  # states that keys and values are made of; None: the layer's own
    read_N: Tensor | None = None  # flat positions whose states anyone reads after this layer; None: all

    def only_read(self, x_BLD: Tensor) -> Tensor:
        """Return the states that are read after this layer: (N, D), or all as they are (B, L, D)."""
        return x_BLD if self.read_N is None else x_BLD.flatten(0, 1).index_select(0, self.read_N)


def both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Allow what both allow; None allows everything."""
    if first is None or second is None:
        return second if first is None else first
    return first & second
