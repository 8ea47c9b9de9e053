"""Packing: the states of a batch without those of padding, for all that looks at one token at a time.

Enters: which tokens are real. Leaves: a way from rows that are filled up to tokens side by side, and back. Matrices of
projections and feed-forward layers then meet real tokens alone (Krell et al. 2021, arXiv:2107.02027, on the share of
padding in BERT's batches; Portes et al. 2023, arXiv:2312.17482, unpadding).

Legend: B batch, L length, D width, N tokens that are kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

WORTH_IT = 0.15  # share of padding from which the way there and back costs less than it saves


@dataclass(frozen=True)
class Packing:
    """Where the tokens that are kept stand in the rows of a batch."""

    size: int
    length: int
    kept_N: Tensor  # flat positions, ascending

    def pack(self, x_BLD: Tensor) -> Tensor:
        """Return the states of the kept tokens (N, D)."""
        return x_BLD.flatten(0, 1).index_select(0, self.kept_N)

    def unpack(self, x_ND: Tensor) -> Tensor:
        """Return the states where they stand (B, L, D), and zeros elsewhere."""
        x_PD = x_ND.new_zeros(self.size * self.length, x_ND.shape[-1])
        return x_PD.index_copy_(0, self.kept_N, x_ND).view(self.size, self.length, -1)

    def places(self, position_M: Tensor) -> Tensor:
        """Return where flat positions, all of them kept, stand among the kept tokens (M)."""
        return torch.searchsorted(self.kept_N, position_M)


def packing_of(real_BL: Tensor, read_M: Tensor | None = None) -> Packing | None:
    """Return the packing of real tokens and of the flat positions that are read anyway; None where it gains too little.

    On the CPU only: other devices and compiled models want shapes that do not change from batch to batch.
    """
    if real_BL.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    kept = real_BL.flatten() if read_M is None else real_BL.flatten().index_fill(0, read_M, True)
    kept_N = kept.nonzero()[:, 0]
    size, length = real_BL.shape
    return Packing(size, length, kept_N) if len(kept_N) <= (1 - WORTH_IT) * size * length else None
