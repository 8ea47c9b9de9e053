"""Packing: the states of a batch without those that nobody needs.

Enters: which tokens are real, or which positions are read. Leaves: a way from rows that are filled up to tokens side by
side, and back. Matrices of projections and feed-forward layers then meet real tokens alone (Krell et al. 2021,
arXiv:2107.02027, on the share of padding in BERT's batches; Portes et al. 2023, arXiv:2312.17482, unpadding), and in
the last layer no token asks whose answer nobody reads.

Legend: B batch, L length, D width, N tokens that are kept, M positions that are read, R the most of a sequence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

WORTH_IT = 0.15  # share left out from which the way there and back costs less than it saves


@dataclass(frozen=True)
class Packing:
    """Where the tokens that are kept stand in the rows of a batch."""

    size: int
    length: int
    kept_N: Tensor  # flat positions

    def pack(self, x_BLD: Tensor) -> Tensor:
        """Return the states of the kept tokens (N, D)."""
        return x_BLD.flatten(0, 1).index_select(0, self.kept_N)

    def unpack(self, x_ND: Tensor) -> Tensor:
        """Return the states where they stand (B, L, D), and zeros elsewhere."""
        x_PD = x_ND.new_zeros(self.size * self.length, x_ND.shape[-1])
        return x_PD.index_copy_(0, self.kept_N, x_ND).view(self.size, self.length, -1)

    def filled(self) -> Tensor:
        """Return which places of the rows hold a token (B, L)."""
        kept_P = torch.zeros(self.size * self.length, dtype=torch.bool, device=self.kept_N.device)
        return kept_P.index_fill_(0, self.kept_N, True).view(self.size, self.length)

    def places(self, position_M: Tensor) -> Tensor:
        """Return where flat positions, all of them kept, stand among the kept tokens (M), which must ascend."""
        return torch.searchsorted(self.kept_N, position_M)


def packing_of(real_BL: Tensor, read_M: Tensor | None = None) -> Packing | None:
    """Return the packing of real tokens and of flat positions that are read anyway; None where it gains too little."""
    if _wants_fixed_shapes(real_BL):
        return None
    kept = real_BL.flatten() if read_M is None else real_BL.flatten().index_fill(0, read_M, True)
    kept_N = kept.nonzero()[:, 0]
    size, length = real_BL.shape
    return Packing(size, length, kept_N) if len(kept_N) <= (1 - WORTH_IT) * size * length else None


@dataclass(frozen=True)
class Asking:
    """The positions that are read after the last layer, in rows of their own: a row for each sequence, filled up."""

    packing: Packing  # (M, D) to (B, R, D) and back
    column_BR: Tensor  # where they stand in their sequences; 0 where a row is filled up


def asking_of(read_M: Tensor, size: int, length: int) -> Asking | None:
    """Return the rows of the flat positions that are read; None where they are little shorter than the sequences."""
    if _wants_fixed_shapes(read_M):
        return None
    order_M = read_M.argsort()
    row_M = read_M[order_M] // length
    start_B = torch.searchsorted(row_M, torch.arange(size))
    nth_M = torch.arange(len(read_M)) - start_B[row_M]
    longest = int(nth_M.max()) + 1
    if longest > (1 - WORTH_IT) * length:
        return None
    place_M = torch.empty_like(read_M).index_copy_(0, order_M, row_M * longest + nth_M)
    column_P = read_M.new_zeros(size * longest).index_copy_(0, place_M, read_M % length)
    return Asking(Packing(size, longest, place_M), column_P.view(size, longest))


def _wants_fixed_shapes(tensor: Tensor) -> bool:
    """Tell whether shapes must not change from batch to batch: compiled models and all but the CPU want that."""
    return tensor.device.type != "cpu" or torch.compiler.is_compiling()
