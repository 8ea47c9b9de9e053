"""Packing: removes states that are not needed from the computation.

Enters: a mask of real tokens, or the selected positions. Leaves: a mapping from padded rows to a flat list of tokens,
and back. Projections and feed-forward layers then compute real tokens only (Krell et al. 2021, arXiv:2107.02027, on
the share of padding in BERT's batches; Portes et al. 2023, arXiv:2312.17482, unpadding). In the last layer only the
selected positions have queries.

Legend: B batch, L length, D width, N kept tokens, M selected positions, P places B * L, R most selected positions in
a sequence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

WORTH_IT = 0.15  # smallest share of removed states for which packing saves time


@dataclass(frozen=True)
class Packing:
    """The positions of the kept tokens in the rows of a batch."""

    size: int
    length: int
    kept_N: Tensor  # flat positions, ascending unless they come from `asking_of`

    def pack(self, x_BLD: Tensor) -> Tensor:
        """Return the states of the kept tokens (N, D)."""
        return x_BLD.flatten(0, 1).index_select(0, self.kept_N)

    def unpack(self, x_ND: Tensor) -> Tensor:
        """Return the states at their positions (B, L, D), zeros elsewhere."""
        x_PD = x_ND.new_zeros(self.size * self.length, x_ND.shape[-1])
        return x_PD.index_copy_(0, self.kept_N, x_ND).view(self.size, self.length, -1)

    def filled(self) -> Tensor:
        """Return a mask of the places that hold a token (B, L)."""
        kept_P = torch.zeros(self.size * self.length, dtype=torch.bool, device=self.kept_N.device)
        return kept_P.index_fill_(0, self.kept_N, True).view(self.size, self.length)

    def places(self, position_M: Tensor) -> Tensor:
        """Return the indices (M) of flat positions among the kept tokens; all must be kept, and kept_N must ascend."""
        return torch.searchsorted(self.kept_N, position_M)


def packing_of(real_BL: Tensor, read_M: Tensor | None = None) -> Packing | None:
    """Return the packing of real tokens and of selected positions; None if it saves too little."""
    if _wants_fixed_shapes(real_BL):
        return None
    # keep real tokens and selected positions
    kept = real_BL.flatten() if read_M is None else real_BL.flatten().index_fill(0, read_M, True)
    kept_N = kept.nonzero()[:, 0]
    size, length = real_BL.shape
    return Packing(size, length, kept_N) if len(kept_N) <= (1 - WORTH_IT) * size * length else None


@dataclass(frozen=True)
class Asking:
    """The selected positions after the last layer, as padded rows: one row for each sequence."""

    packing: Packing  # maps (M, D) to (B, R, D) and back
    column_BR: Tensor  # their columns in the sequences; 0 at padding


def asking_of(read_M: Tensor, size: int, length: int) -> Asking | None:
    """Return padded rows of the selected flat positions; None if these are hardly shorter than the sequences."""
    if _wants_fixed_shapes(read_M):
        return None
    # number the selected positions of each sequence
    order_M = read_M.argsort()
    row_M = read_M[order_M] // length
    start_B = torch.searchsorted(row_M, torch.arange(size))
    nth_M = torch.arange(len(read_M)) - start_B[row_M]
    longest = int(nth_M.max()) + 1
    if longest > (1 - WORTH_IT) * length:
        return None
    # their places in rows of `longest` columns, and their original columns
    place_M = torch.empty_like(read_M).index_copy_(0, order_M, row_M * longest + nth_M)
    column_P = read_M.new_zeros(size * longest).index_copy_(0, place_M, read_M % length)
    return Asking(Packing(size, longest, place_M), column_P.view(size, longest))


def _wants_fixed_shapes(tensor: Tensor) -> bool:
    """Return whether shapes must not change between batches: for compiled models and devices other than the CPU."""
    return tensor.device.type != "cpu" or torch.compiler.is_compiling()
