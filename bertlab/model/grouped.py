"""Attention with fewer heads of keys and values than of queries.

Legend: D width, G groups, H heads, K head width.
"""

from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError, own
from bertlab.model.attention import Mix, SelfAttention
from bertlab.model.shape import Shape


class Grouped(SelfAttention):
    """H / G query heads share one head of keys and values (Ainslie et al. 2023, arXiv:2305.13245).

    G = 1 is multi-query attention (Shazeer 2019, arXiv:1911.02150); G = H is plain attention.
    """

    @bounded
    def __init__(self, shape: Shape, mix: Mix, *, groups: int) -> None:
        super().__init__(shape, mix, query="query", key="key", value="value", output=True)
        if shape.heads % groups:
            raise InputError(f"{own('groups')} must divide model.heads {shape.heads}, got {groups}; choose a divisor")
        self.key, self.value = Repeated(shape, groups), Repeated(shape, groups)


class Repeated(nn.Module):
    """A projection to G heads; each is repeated for H / G consecutive query heads."""

    def __init__(self, shape: Shape, groups: int) -> None:
        super().__init__()
        self.groups, self.times = groups, shape.heads // groups
        self.dense = nn.Linear(shape.width, groups * shape.head_width)

    def forward(self, x_ND: Tensor) -> Tensor:
        """Return (N, H K)."""
        heads = self.dense(x_ND).unflatten(-1, (self.groups, -1))
        return heads.repeat_interleave(self.times, dim=-2).flatten(-2)  # type: ignore[no-any-return]
