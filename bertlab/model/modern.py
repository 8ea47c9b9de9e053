"""ModernBERT (Warner et al. 2024, arXiv:2412.13663): the features that are not options of single parts.

Pre-norm without a norm before the first attention, because the embedding already has one (sec. 2.1.1). Local layers
have their own rotary base (sec. 2.1.2). No bias except that of the vocabulary. All else are options: rotary
positions, local and global layers, GEGLU, no biases.

Departure: a head for pairs, which ModernBERT does not have; pairs=single leaves it untrained.

Legend: D width, N tokens: (B, L), or flat.
"""

from dataclasses import replace
from typing import Unpack

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError, own
from bertlab.model import bert
from bertlab.model.bert import Bert, Parts
from bertlab.model.block import PreNorm
from bertlab.model.local import Windowed
from bertlab.model.norm import NoNorm
from bertlab.model.position import Position, Rotary
from bertlab.model.settings import Settings
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight


class ModernBert(Bert):
    """An encoder without a norm before the first attention, and optionally with other rotary angles in local layers.

    `local_base`: base of the angles in local layers; None: the base of `model/position`. Raises InputError for parts
    that do not support it.
    """

    def __init__(self, shape: Shape, parts: Parts, local_base: float | None) -> None:
        super().__init__(shape, parts)
        self.local_base = local_base
        firsts = [block for block in self.blocks[0].modules() if isinstance(block, PreNorm)]
        if not firsts:
            raise InputError(
                f"model/block must be pre for a ModernBERT, got {_kind(self.blocks[0])}; choose model/block=pre, or "
                "another model"
            )
        for block in firsts:
            block.attention_norm = NoNorm() if block.attention_norm else None
        self.mlm_head.transform.bias = None  # type: ignore[assignment]
        if local_base is not None:
            self._turn_local_layers(local_base)

    def _turn_local_layers(self, base: float) -> None:
        if not isinstance(self.position, Rotary):
            raise InputError(
                f"model/position must be rotary where {own('local_base')} is given, got {type(self.position).__name__};"
                " choose model/position=rotary, or null"
            )
        if not all(isinstance(block, Windowed) for block in self.blocks):
            raise InputError(
                f"model/visibility must be local_global where {own('local_base')} is given, got "
                f"{type(self.visibility).__name__}; choose model/visibility=local_global, or null"
            )
        position = Rotary(self.shape, base=base)
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Windowed)
            if block.window is not None:
                self.blocks[number] = Turned(block.inner, block.window, position)


class Turned(Windowed):
    """A local layer with its own positions."""

    def __init__(self, inner: nn.Module, window: int, position: Position) -> None:
        super().__init__(inner, window)
        self.position = position

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D)."""
        return super().forward(x_ND, replace(sight, position=self.position))


def _kind(block: nn.Module) -> str:
    """Return the name of the block inside a local layer."""
    return type(block.inner if isinstance(block, Windowed) else block).__name__


@bounded
def build(vocab_size: int, length: int, *, local_base: float | None, **settings: Unpack[Settings]) -> ModernBert:
    """Build a model from its sizes and the factories of its parts, like `bertlab.model.bert.build`.

    Raises InputError for sizes that do not fit and for parts that cannot be combined.
    """
    with torch.device("meta"):  # no memory for weights
        shape = bert.build(vocab_size, length, **settings).shape
    with torch.random.fork_rng(devices=[]):  # torch draws unused initial values from its global generator
        return ModernBert(shape, settings, local_base)
