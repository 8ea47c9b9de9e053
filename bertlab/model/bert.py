"""BERT: embedding, blocks and two heads (Devlin et al. 2018, arXiv:1810.04805), built from the parts it is given.

Legend: B batch, L length, D width, V vocabulary, M predicted positions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from bertlab.batch import Batch
from bertlab.model.embedding import Sum
from bertlab.model.heads import MlmHead, PairHead
from bertlab.model.position import Position
from bertlab.model.shape import Shape

Norm = Callable[[int], nn.Module]


class Parts(TypedDict):
    """Factories of the parts, as the config chooses them."""

    position: Callable[[Shape], Position]
    norm: Norm
    embedding: Callable[[Shape, Position, Norm], Sum]
    attention: Callable[[Shape], nn.Module]
    feed_forward: Callable[[Shape], nn.Module]
    block: Callable[[Shape, nn.Module, nn.Module, Norm], nn.Module]


@dataclass(frozen=True)
class Output:
    """What a model says of a batch."""

    mlm_MV: Tensor  # logits at the predicted positions only
    pair_B2: Tensor  # logits of `follows` and `random`


class Bert(nn.Module):
    """An encoder with an MLM head and a pair head."""

    def __init__(self, shape: Shape, parts: Parts) -> None:
        super().__init__()
        self.shape = shape
        self.position = parts["position"](shape)
        self.embedding = parts["embedding"](shape, self.position, parts["norm"])
        self.blocks = nn.ModuleList(
            parts["block"](shape, parts["attention"](shape), parts["feed_forward"](shape), parts["norm"])
            for _ in range(shape.layers)
        )
        self.mlm_head = MlmHead(shape, parts["norm"])
        self.pair_head = PairHead(shape)

    def encode(self, ids_BL: Tensor, segments_BL: Tensor, real_BL: Tensor | None) -> Tensor:
        """Return the states of the last layer (B, L, D)."""
        x_BLD = self.embedding(ids_BL, segments_BL)
        for block in self.blocks:
            x_BLD = block(x_BLD, real_BL, self.position)
        return x_BLD  # type: ignore[no-any-return]

    def forward(self, batch: Batch) -> Output:
        """Return the logits that the objectives need."""
        x_BLD = self.encode(batch.ids_BL, batch.segments_BL, batch.real_BL)
        x_MD = x_BLD.flatten(0, 1).index_select(0, batch.position_M)
        return Output(self.mlm_head(x_MD, self.embedding.token.weight), self.pair_head(x_BLD[:, 0]))


def build(
    vocab_size: int,
    length: int,
    *,
    layers: int,
    width: int,
    heads: int,
    inner: int,
    dropout: float,
    segment_types: int,
    embedding_std: float,
    dense_std: float,
    **parts: Unpack[Parts],
) -> Bert:
    """Assemble a model from its sizes and the factories of its parts. Raises InputError for sizes that do not fit."""
    shape = Shape(vocab_size, length, layers, width, heads, inner, dropout, segment_types, embedding_std, dense_std)
    with torch.random.fork_rng(devices=[]):  # torch draws throw-away initial values from its global generator
        return Bert(shape, parts)
