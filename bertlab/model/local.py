"""Local and global layers in turn: most layers attend only to near tokens, every n-th layer to all.

Legend: L length, D width, N tokens: (B, L), or flat.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight, both
from bertlab.model.visibility import Everyone, MakeBlock


class LocalGlobal(Everyone):
    """Layers 0, `every`, 2 `every`, ... are global; in the others a token attends to `window` / 2 tokens on each side.

    Beltagy et al. 2020 (arXiv:2004.05150, Longformer); in turn as in ModernBERT (Warner et al. 2024, arXiv:2412.13663,
    sec. 2.1.2). Departure: one base of rotary angles for all layers; ModernBERT has one for local and one for global.
    """

    restricts = True

    @bounded
    def __init__(self, *, window: int, every: int) -> None:
        self.window, self.every = window, every
        self._made = 0  # number of layers built so far

    def block(self, shape: Shape, make: MakeBlock) -> nn.Module:
        """Return the next layer."""
        is_global = self._made % self.every == 0
        self._made += 1
        return Windowed(make(shape), None if is_global else self.window)


class Windowed(nn.Module):
    """A layer in which a token attends to `window` / 2 tokens on each side, or to all if `window` is None."""

    def __init__(self, inner: nn.Module, window: int | None) -> None:
        super().__init__()
        self.inner, self.window = inner, window

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D)."""
        if self.window is None:
            return self.inner(x_ND, sight)  # type: ignore[no-any-return]
        length = x_ND.shape[1] if sight.packing is None else sight.packing.length
        place_L = torch.arange(length, device=x_ND.device)
        near_LL = (place_L[:, None] - place_L).abs() <= self.window // 2
        return self.inner(x_ND, replace(sight, allowed=both(sight.allowed, near_LL)))  # type: ignore[no-any-return]
