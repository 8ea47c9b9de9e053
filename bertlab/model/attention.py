"""Multi-head self-attention.

Legend: B batch, L length, D width, H heads, K head width, N tokens: (B, L), or flat without padding.
"""

from collections.abc import Callable

from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight

Mix = Callable[..., Tensor]  # (query_BHLK, key_BHLK, value_BHLK, sight, dropout=...) -> (B, H, L, K)


class Mixer(nn.Module):
    """A layer that mixes the tokens of a sequence. Its flags say which other parts can be combined with it."""

    scored = False  # whether it computes Q K^T scores; scale, bias and rotation act on these
    heeds_sight = True  # whether it supports attention masks
    has_heads = True

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D); a token that may attend to no token receives nothing from others."""
        raise NotImplementedError


class SelfAttention(Mixer):
    """mix(Q, K, V) in H heads, then an output projection (Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2).

    `query`, `key` and `value` are names of projections. Roles with the same name share the projection (K = V, Q = K:
    Kowsher et al. 2025, arXiv:2412.00359; without projections: He & Hofmann 2023, arXiv:2311.01906). A role without a
    name uses the input states, split into heads. `output`: whether there is an output projection.

    Raises InputError for a missing projection if H * K differs from D.
    """

    scored = True

    @bounded
    def __init__(
        self, shape: Shape, mix: Mix, *, query: str | None, key: str | None, value: str | None, output: bool
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.mix = shape.heads, shape.dropout, mix
        self.roles = (query, key, value)
        if not (all(self.roles) and output) and shape.heads_width != shape.width:
            raise InputError(
                f"model.head_width must be model.width/model.heads for model/attention without projections, "
                f"got {shape.head_width} with width {shape.width} and {shape.heads} heads; leave it at null"
            )
        for name in dict.fromkeys(filter(None, self.roles)):
            setattr(self, name, nn.Linear(shape.width, shape.heads_width))
        self.output = nn.Linear(shape.heads_width, shape.width) if output else nn.Identity()

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D); tokens that `sight` does not allow get no weight."""
        # keys and values: all states, or the first layer's input; queries: only the selected states
        source_ND = x_ND if sight.source_ND is None else sight.source_ND
        asking = sight.of_asking()
        asking_ND = x_ND if asking is sight else sight.only_read(x_ND)
        apart = asking is not sight or sight.source_ND is not None  # query positions differ from key positions
        made: dict[tuple[str | None, bool], Tensor] = {}  # shared projections are computed once
        # project q, k, v; unpack to rows; split heads
        for name, asks in zip(self.roles, (True, False, False), strict=True):
            if (name, asks and apart) not in made:
                states_ND, there = (asking_ND, asking) if asks else (source_ND, sight)
                projected_ND = states_ND if name is None else getattr(self, name)(states_ND)
                made[name, asks and apart] = split(there.rows(projected_ND), self.heads)
        # compare queries and keys after rotation; sum values by the weights
        query, key, value = self.roles
        query_BHLK, key_BHLK = self.compared(made[query, apart], made[key, False])
        mixed_BHLK = self.mix(
            sight.position.rotate(query_BHLK, asking.column_BL),
            sight.position.rotate(key_BHLK),
            made[value, False],
            asking,
            dropout=self.dropout if self.training else 0.0,
        )
        # merge heads; keep the selected states; project back
        mixed_ND = asking.tokens(mixed_BHLK.transpose(1, 2).flatten(2))
        return self.output(asking.only_read(mixed_ND))  # type: ignore[no-any-return]

    def compared(self, query_BHLK: Tensor, key_BHLK: Tensor) -> tuple[Tensor, Tensor]:
        """Return the queries and keys to compare, before rotary positions. Here: unchanged."""
        return query_BHLK, key_BHLK


def split(x_BLD: Tensor, heads: int) -> Tensor:
    """Split the width into heads: (B, L, H * K) -> (B, H, L, K)."""
    return x_BLD.view(*x_BLD.shape[:2], heads, -1).transpose(1, 2)


def none(shape: Shape, mix: Mix) -> None:
    """Leave out attention, its norm and its skip connection: tokens do not interact."""
