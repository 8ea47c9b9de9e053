"""Value residual: every layer also reads the values of the first one.

Legend: B batch, H heads, L length, K head width.
"""

from typing import Any

from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError
from bertlab.model.attention import Mix, SelfAttention


class Values:
    """The values of the first layer in the current pass; the last layer releases them."""

    def __init__(self) -> None:
        self.first_BHLK: Tensor | None = None


class First:
    """Mixing in the first layer; it keeps the values."""

    def __init__(self, mix: Mix, values: Values) -> None:
        self.mix, self.values = mix, values

    def __call__(self, query_BHLK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, *rest: Any, **more: Any) -> Tensor:
        """Return the head outputs (B, H, L, K)."""
        self.values.first_BHLK = value_BHLK
        return self.mix(query_BHLK, key_BHLK, value_BHLK, *rest, **more)


class Later(First):
    """Mixing in a later layer: (1 - share) of its own values plus `share` of the first ones."""

    def __init__(self, mix: Mix, values: Values, share: float, *, last: bool) -> None:
        super().__init__(mix, values)
        self.share, self.last = share, last

    def __call__(self, query_BHLK: Tensor, key_BHLK: Tensor, value_BHLK: Tensor, *rest: Any, **more: Any) -> Tensor:
        """Return the head outputs (B, H, L, K)."""
        first_BHLK = self.values.first_BHLK
        assert first_BHLK is not None, "the first layer goes first"
        if self.last:
            self.values.first_BHLK = None
        return self.mix(query_BHLK, key_BHLK, value_BHLK.lerp(first_BHLK, self.share), *rest, **more)


@bounded
def share_values(blocks: nn.ModuleList, *, share: float) -> None:
    """Let later layers mix (1 - share) V_n + share V_1 (Zhou et al. 2024, arXiv:2410.17897, identity ResFormer: 0.5).

    Raises InputError if there is nothing to share.
    """
    if len(blocks) < 2:
        raise InputError(
            f"model.layers must be at least 2 for model/sharing, got {len(blocks)}; choose model/sharing=none"
        )
    first = {path: module for path, module in blocks[0].named_modules() if isinstance(module, SelfAttention)}
    if not first:
        raise InputError(
            "model/sharing shares values, which layers with this model/attention have not; choose model/sharing=none, "
            "or model/attention=softmax"
        )
    for path, attention in first.items():
        values = Values()
        for block in blocks[1:]:
            other = block.get_submodule(path)
            assert isinstance(other, SelfAttention)
            other.mix = Later(other.mix, values, share, last=block is blocks[-1])
        attention.mix = First(attention.mix, values)


def check_own_values(model: nn.Module) -> None:
    """Raise InputError if layers read values of the first one: other models do not support it."""
    if any(isinstance(getattr(module, "mix", None), First) for module in model.modules()):
        raise InputError(
            "model/sharing (share_values) cannot be expressed: BertForPreTraining has values of each layer's own; "
            "train with model/sharing=none to export"
        )
