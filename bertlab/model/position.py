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
    """No position at all; each variant overrides the place where it enters."""

    acts_on_scores = False

    def start(self) -> None:
        """Set initial values that are not drawn as those of other tables are."""

    def vectors(self, length: int) -> Tensor | None:
        """Return a vector for each position (L, D), for the embedding to use; None where there are none."""
        return None

    def rotate(self, x_BHLK: Tensor, column_BL: Tensor | None = None) -> Tensor:
        """Turn queries or keys by their positions: `column_BL`, or 0, 1, 2 and so on."""
        return x_BHLK

    def bias(self, length: int) -> Tensor | None:
        """Return what is added to the scores of attention (H, L, L), after scaling; None for nothing."""
        return None


class NoPosition(Position):
    """Tokens are a bag: only segments and [SEP] tell places apart."""

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
    """A learned table whose initial vectors are those of `Sinusoidal` instead of random ones.

    Positions then tell distances from the first step on, and can become whatever learned ones can (cf. Wang & Chen
    2020, arXiv:2010.04903, on what learned tables end as).
    """

    @bounded
    def __init__(self, shape: Shape, *, positions: int, base: float) -> None:
        super().__init__(shape, positions=positions)
        self.base = base

    def start(self) -> None:
        """Copy the sinusoids, over sqrt(D)."""
        positions, width = self.table.weight.shape
        self.table.weight.copy_(sinusoids(positions, width, self.base) / math.sqrt(width))


class Sinusoidal(Position):
    """Sines and cosines of l * base^(-2k/D), over sqrt(D) (Vaswani et al. 2017, sec. 3.4 and 3.5).

    Vaswani et al. multiply embeddings by sqrt(D) instead: the same, but for a factor that the norm of the sum takes
    out. With `learn_scale` 1/sqrt(D) is where one learned number starts (Hua et al. 2022, arXiv:2202.10447; Geiping &
    Goldstein 2022, arXiv:2212.14034); it can shrink to 0 and stay there before any layer makes use of positions. Sines
    stand before cosines, which only reorders components.
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
    """Return sines and cosines of l * base^(-2k/D) for l = 0, 1 and so on (N, D), sines before cosines."""
    frequency = base ** -(torch.arange(0, width, 2) / width)
    angle = torch.outer(torch.arange(positions), frequency)
    return torch.cat((angle.sin(), angle.cos()), dim=1)[:, :width]


class Rotary(Position):
    """Turn each pair of query and key components by an angle proportional to position (Su et al. 2021, RoFormer).

    Pair k of K/2 turns by l * base^(-2k/K) at position l, so that scores depend on the distance of two tokens
    (arXiv:2104.09864, sec. 3.2). Halves are paired (k with k + K/2) instead of neighbours, which only reorders
    components. There is nothing to learn.
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
            # for each head, and laid out as queries are in memory: products then run over whole rows of a batch
            table_LHK = table_LK[:, None].repeat(1, shape.heads, 1)
            self.register_buffer(name, table_LHK.transpose(0, 1), persistent=False)

    def rotate(self, x_BHLK: Tensor, column_BL: Tensor | None = None) -> Tensor:
        """Turn every vector by its position's angles."""
        _, heads, length, width = x_BHLK.shape
        partner_BHLK = x_BHLK.roll(width // 2, dims=-1)  # of each component in its pair
        if column_BL is None:
            return x_BHLK * self.cos_HLK[:heads, :length] + partner_BHLK * self.sin_HLK[:heads, :length]
        cos_B1LK, sin_B1LK = (table_HLK[0][column_BL][:, None] for table_HLK in (self.cos_HLK, self.sin_HLK))
        return x_BHLK * cos_B1LK + partner_BHLK * sin_B1LK


class Alibi(Position):
    """Add -m_h |i - j| to the scores: the farther, the weaker, at a slope of its own in each head (Press et al. 2021).

    m_h = 2^(-8h/H) for h = 1..H (arXiv:2108.12409, sec. 3), also where H is no power of two. Departure: distances count
    in both directions alike, as an encoder needs it. There is nothing to learn.
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
