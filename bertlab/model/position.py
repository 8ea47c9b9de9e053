"""Position: how the order of tokens enters the model, at the embedding, in attention, or not at all.

Legend: B batch, L length, N longest length, D width, H heads, K head width.
"""

import math

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError, own, own_option
from bertlab.model.shape import Shape


class Position(nn.Module):
    """No positions; each variant overrides the method where its positions enter."""

    acts_on_scores = False

    def start(self) -> None:
        """Set special initial values, if a variant has them."""

    def vectors(self, length: int) -> Tensor | None:
        """Return a vector for each position (L, D), for the embedding; None if there are none."""
        return None

    def rotate(self, x_BHLK: Tensor, column_BL: Tensor | None = None) -> Tensor:
        """Rotate queries or keys by their positions: `column_BL`, else 0, 1, 2, ..."""
        return x_BHLK

    def bias(self, length: int) -> Tensor | None:
        """Return what is added to the scaled attention scores (H, L, L); None for nothing."""
        return None


class NoPosition(Position):
    """No positions: only segments and [SEP] carry order."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()


class Learned(Position):
    """A learned vector for each absolute position, added to the token embedding (Devlin et al. 2018, sec. 3)."""

    @bounded
    def __init__(self, shape: Shape, *, positions: int) -> None:
        super().__init__()
        if shape.length > positions:
            raise InputError(
                f"batch.length must be at most {own('positions')} {positions}, got {shape.length}; "
                "raise the one or lower the other"
            )
        self.table = nn.Embedding(positions, shape.width)

    def vectors(self, length: int) -> Tensor:
        """Return the first rows of the table."""
        return self.table.weight[:length]


class SinusoidalStart(Learned):
    """A learned table whose initial vectors are those of `Sinusoidal`, not random.

    So positions carry distances from the first step on, and training can change them (cf. Wang & Chen 2020,
    arXiv:2010.04903, on what learned tables become).
    """

    @bounded
    def __init__(self, shape: Shape, *, positions: int, base: float) -> None:
        super().__init__(shape, positions=positions)
        self.base = base

    def start(self) -> None:
        """Copy the sinusoids, divided by sqrt(D)."""
        positions, width = self.table.weight.shape
        self.table.weight.copy_(sinusoids(positions, width, self.base) / math.sqrt(width))


class Sinusoidal(Position):
    """Sines and cosines of l * base^(-2k/D), divided by sqrt(D) (Vaswani et al. 2017, sec. 3.4 and 3.5).

    Vaswani et al. multiply embeddings by sqrt(D) instead: the same, up to a factor that the norm of the sum removes.
    `learn_scale`: 1/sqrt(D) is the start of one learned number (Hua et al. 2022, arXiv:2202.10447; Geiping & Goldstein
    2022, arXiv:2212.14034); it may shrink to 0 and stay there before any layer uses positions. All sines come before
    all cosines, which only reorders components.
    """

    table_ND: Tensor
    scale: Tensor

    @bounded
    def __init__(self, shape: Shape, *, base: float, learn_scale: bool) -> None:
        super().__init__()
        table_ND = sinusoids(shape.length, shape.width, base)
        self.register_buffer("table_ND", table_ND, persistent=False)
        scale = table_ND.new_tensor(1 / math.sqrt(shape.width))
        if learn_scale:
            self.scale = nn.Parameter(scale)
        else:
            self.register_buffer("scale", scale, persistent=False)

    def vectors(self, length: int) -> Tensor:
        """Return the scaled table."""
        return self.scale * self.table_ND[:length]


def sinusoids(positions: int, width: int, base: float) -> Tensor:
    """Return sines and cosines of l * base^(-2k/D) for l = 0, 1, ... (N, D), sines before cosines."""
    frequency = base ** -(torch.arange(0, width, 2) / width)
    angle = torch.outer(torch.arange(positions), frequency)
    return torch.cat((angle.sin(), angle.cos()), dim=1)[:, :width]


class Rotary(Position):
    """Rotate each pair of query and key components by an angle proportional to position (Su et al. 2021, RoFormer).

    Pair k of K/2 is rotated by l * base^(-2k/K) at position l, so that scores depend on the distance of two tokens
    (arXiv:2104.09864, sec. 3.2). We pair k with k + K/2 instead of neighbours, which only reorders components. No
    learned parameters.
    """

    acts_on_scores = True
    cos_HLK: Tensor
    sin_HLK: Tensor

    @bounded
    def __init__(self, shape: Shape, *, base: float) -> None:
        super().__init__()
        if shape.head_width % 2:
            raise InputError(
                f"{own_option('model/position', 'rotary')} needs an even width of a head, got {shape.head_width}; "
                "change model.width, model.heads or model.head_width"
            )
        frequency = base ** -(torch.arange(0, shape.head_width, 2) / shape.head_width)
        angle = torch.outer(torch.arange(shape.length), frequency)
        cos, sin = angle.cos(), angle.sin()
        for name, table_LK in (("cos_HLK", torch.cat((cos, cos), dim=1)), ("sin_HLK", torch.cat((-sin, sin), dim=1))):
            # one table for each head, in the memory layout of queries: products then run over whole rows of a batch
            table_LHK = table_LK[:, None].repeat(1, shape.heads, 1)
            self.register_buffer(name, table_LHK.transpose(0, 1), persistent=False)

    def rotate(self, x_BHLK: Tensor, column_BL: Tensor | None = None) -> Tensor:
        """Rotate every vector by the angles of its position."""
        _, heads, length, width = x_BHLK.shape
        partner_BHLK = x_BHLK.roll(width // 2, dims=-1)  # the other component of each pair
        if column_BL is None:
            return x_BHLK * self.cos_HLK[:heads, :length] + partner_BHLK * self.sin_HLK[:heads, :length]
        cos_B1LK, sin_B1LK = (table_HLK[0][column_BL][:, None] for table_HLK in (self.cos_HLK, self.sin_HLK))
        return x_BHLK * cos_B1LK + partner_BHLK * sin_B1LK


class Alibi(Position):
    """Add -m_h |i - j| to the scores, with another slope in each head (Press et al. 2021).

    m_h = 2^(-8h/H) for h = 1..H (arXiv:2108.12409, sec. 3), also if H is no power of two. Departure: an encoder needs
    distances in both directions, so the bias is symmetric. No learned parameters.
    """

    acts_on_scores = True
    bias_HNN: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        slope_H = 2.0 ** (-8 * torch.arange(1, shape.heads + 1) / shape.heads)
        place_N = torch.arange(shape.length)
        distance_NN = (place_N[:, None] - place_N).abs()
        self.register_buffer("bias_HNN", -slope_H[:, None, None] * distance_NN, persistent=False)

    def bias(self, length: int) -> Tensor:
        """Return the negative distances times the slopes."""
        return self.bias_HNN[:, :length, :length]
