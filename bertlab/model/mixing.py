"""Replacements of attention: mixing with weights that do not depend on the tokens.

All are built for at most `batch.length` tokens. The amount of padding does not change the result.

Legend: B batch, L length, D width, H heads, K head width; N tokens, (B, L) or flat, or the longest length (HNN).
"""

import math

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError
from bertlab.model.attention import Mix, Mixer, split
from bertlab.model.dropout import dropout
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight


class ByPosition(Mixer):
    """A mix of values with weights that depend on positions only; value and output projections as in attention."""

    def __init__(self, shape: Shape, *, learned: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.longest = shape.heads, shape.dropout, shape.length
        self.value = nn.Linear(shape.width, shape.heads_width)
        self.output = nn.Linear(shape.heads_width, shape.width)
        mixing_HNN = self.value.weight.new_zeros(shape.heads, shape.length, shape.length)
        self.mixing = nn.Parameter(mixing_HNN, requires_grad=learned)

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D)."""
        value_BLD = sight.rows(self.value(x_ND if sight.source_ND is None else sight.source_ND))
        length = fitting(value_BLD.shape[1], self.longest)
        weight_HLL = self.weights(self.mixing[:, :length, :length], sight.allowed)
        weight_HLL = dropout(weight_HLL, self.dropout, self.training)
        mixed_BHLK = weight_HLL @ split(value_BLD, self.heads)
        mixed_ND = sight.tokens(mixed_BHLK.transpose(1, 2).flatten(2))
        return self.output(sight.only_read(mixed_ND))  # type: ignore[no-any-return]

    def weights(self, mixing_HLL: Tensor, allowed: Tensor | None) -> Tensor:
        """Return the weights (H, L, L), or (B, H, L, L); 0 where attention is not allowed."""
        raise NotImplementedError


class FullyConnected(ByPosition):
    """A dense layer over positions in each head, learned and without softmax (Tolstikhin et al. 2021, MLP-Mixer)."""

    def __init__(self, shape: Shape, mix: Mix) -> None:
        super().__init__(shape, learned=True)

    def weights(self, mixing_HLL: Tensor, allowed: Tensor | None) -> Tensor:
        """Return the matrix itself."""
        return mixing_HLL if allowed is None else mixing_HLL * allowed


class FixedRandom(ByPosition):
    """softmax(R) V with a random R that is never trained (Tay et al. 2020, arXiv:2005.00743, fixed random Synthesizer).

    R is normal with standard deviation `std`, truncated at two of them. With a small `std` every head is the plain
    mean.
    """

    @bounded
    def __init__(self, shape: Shape, mix: Mix, *, std: float) -> None:
        super().__init__(shape, learned=False)  # R is drawn like other matrices
        self.gain = std / shape.matrix_std(shape.length)

    def weights(self, mixing_HLL: Tensor, allowed: Tensor | None) -> Tensor:
        """Return softmax(R) over the allowed positions."""
        score_HLL = self.gain * mixing_HLL
        if allowed is None:
            return score_HLL.softmax(-1)
        return score_HLL.masked_fill(~allowed, torch.finfo(score_HLL.dtype).min).softmax(-1) * allowed


class Fourier(Mixer):
    """The real part of the Fourier transform over positions and width (Lee-Thorp et al. 2021, arXiv:2105.03824, FNet).

    With F = C - iS: Re(F_L x F_D) = C_L x C_D - S_L x S_D, by matrices, as FNet does for short sequences.
    Departure: padding is set to zero, and the transform has the run's longest length. So real tokens do not depend on
    the content or amount of padding; FNet also transforms padding.
    """

    heeds_sight = False
    has_heads = False
    cos_NN: Tensor
    sin_NN: Tensor
    cos_DD: Tensor
    sin_DD: Tensor

    def __init__(self, shape: Shape, mix: Mix) -> None:
        super().__init__()
        for name, size in (("NN", shape.length), ("DD", shape.width)):
            step = torch.arange(size)
            angle = torch.outer(step, step) % size * (2 * math.pi / size)  # exact integers until here
            self.register_buffer(f"cos_{name}", angle.cos(), persistent=False)
            self.register_buffer(f"sin_{name}", angle.sin(), persistent=False)

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D)."""
        x_BLD = sight.rows(x_ND)
        length = fitting(x_BLD.shape[1], len(self.cos_NN))
        if sight.real_BL is not None:
            x_BLD = x_BLD.masked_fill(~sight.real_BL[..., None], 0)
        cos_LL, sin_LL = self.cos_NN[:length, :length], self.sin_NN[:length, :length]
        return sight.only_read(sight.tokens(cos_LL @ (x_BLD @ self.cos_DD) - sin_LL @ (x_BLD @ self.sin_DD)))


def fitting(length: int, longest: int) -> int:
    """Return the length if the weights are large enough. Raises InputError."""
    if length > longest:
        raise InputError(
            f"batch.length must be at least the {length} tokens that this model/attention shall mix, got {longest}; "
            "raise it before training or choose model/attention=softmax"
        )
    return length
