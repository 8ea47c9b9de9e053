"""BERT: embedding, blocks and two heads (Devlin et al. 2018, arXiv:1810.04805), assembled from given parts.

Legend: B batch, L length, D width, H heads, V vocabulary, M predicted positions, N tokens: (B, L), or flat.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import at
from bertlab.data.batches import Batch
from bertlab.model.attention import Mix, Mixer
from bertlab.model.combination import check_layer, check_mixer, check_scoring, check_streams
from bertlab.model.embedding import Embedding
from bertlab.model.heads import MlmHead, PairHead
from bertlab.model.norm import Norm, over_tokens
from bertlab.model.packing import asking_of, packing_of
from bertlab.model.pooling import Pooling, is_of_cls
from bertlab.model.position import Position
from bertlab.model.scale import sqrt
from bertlab.model.score import softmax
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight, both
from bertlab.model.visibility import Everyone, square


class Parts(TypedDict):
    """Factories of the parts and functions that the config chooses."""

    position: Callable[[Shape], Position]
    norm: Norm
    embedding: Callable[[Shape, Position, Norm], Embedding]
    attention: Callable[[Shape, Mix], Mixer | None]
    scale: Callable[[int], float]
    score: Callable[..., Tensor]
    visibility: Callable[[], Everyone]
    feed_forward: Callable[[Shape], nn.Module | None]
    block: Callable[..., nn.Module]
    sharing: Callable[[nn.ModuleList], None]
    pooling: Pooling


@dataclass(frozen=True)
class Output:
    """Model output of a batch. Vocabulary logits are computed only on request: they are large."""

    state_MD: Tensor  # predicted positions only, after the transform of the MLM head
    token_VD: Tensor  # output embedding of each token of the vocabulary
    bias_V: Tensor
    pair_B2: Tensor  # logits of the classes `follows` and `random`

    @property
    def mlm_MV(self) -> Tensor:  # noqa: N802
        """Vocabulary logits at the predicted positions, computed at every access."""
        return (self.state_MD @ self.token_VD.T).add_(self.bias_V)  # on CPUs faster than one fused call


class Bert(nn.Module):
    """An encoder with an MLM head and a pair head."""

    def __init__(self, shape: Shape, parts: Parts) -> None:
        super().__init__()
        self.shape = shape
        with at("position"):
            self.position = parts["position"](shape)
        with at("embedding"):
            self.embedding = parts["embedding"](shape, self.position, parts["norm"])
        self.visibility, self.pooling = parts["visibility"](), parts["pooling"]
        self.scale = parts["scale"](shape.head_width) * self.embedding.score_share
        self.blocks = nn.ModuleList(
            self.visibility.block(shape, partial(self._block, parts, last=layer == shape.layers))
            for layer in range(1, shape.layers + 1)
        )
        parts["sharing"](self.blocks)
        check_streams(self.modules(), self.visibility)
        self.mlm_head = MlmHead(shape, parts["norm"])
        self.pair_head = PairHead(shape)
        self.decoder = None if shape.tie_output else nn.Embedding(shape.vocab_size, shape.width)
        self.by_token = not over_tokens(self)  # whether everything except mixing acts on one token at a time
        self.reads_few = self.by_token and is_of_cls(self.pooling)  # whether the heads read only few states

    def _block(self, parts: Parts, shape: Shape, *, last: bool) -> nn.Module:
        with at("attention"):
            attention = parts["attention"](shape, partial(parts["score"], scale=self.scale))
        feed_forward = parts["feed_forward"](shape)
        check_layer(attention, feed_forward)
        check_mixer(attention, self.embedding, self.visibility, self.shape)
        usual = parts["scale"](shape.head_width) == sqrt(shape.head_width)
        check_scoring(attention, usual=usual and getattr(parts["score"], "func", None) is softmax)
        return parts["block"](shape, attention, feed_forward, parts["norm"], last)

    @property
    def decoder_weight(self) -> Tensor:
        """Output embedding (V, D): the token embedding (Press & Wolf 2017, arXiv:1608.05859) or a matrix of its own."""
        return self.embedding.token.weight if self.decoder is None else self.decoder.weight

    def encode(self, batch: Batch) -> Tensor:
        """Return the states of the last layer (B, L, D)."""
        return self._states(batch, None)

    def pooled(self, batch: Batch) -> Tensor:
        """Return one pooled state of the last layer for each sequence (B, D)."""
        return self.pooling(self.encode(batch), self._real(batch))

    def layers(self, batch: Batch) -> list[Tensor]:
        """Return the states after the embedding and after each layer, (B, L, D) each."""
        x_ND, sight = self._embedded(batch, None)
        states = [sight.rows(x_ND)]
        for block in self.blocks:
            x_ND, sight = block(x_ND, sight), self._next(sight)
            states.append(sight.rows(x_ND))
        return states

    def forward(self, batch: Batch) -> Output:
        """Return what the objectives need."""
        if self.reads_few:
            first_B = torch.arange(0, batch.ids_BL.numel(), batch.ids_BL.shape[1], device=batch.ids_BL.device)
            x_ND = self._states(batch, torch.cat((batch.position_M, first_B)))
            x_MD, pooled_BD = x_ND.tensor_split([len(batch.position_M)])
        else:
            x_BLD = self.encode(batch)
            x_MD = x_BLD.flatten(0, 1).index_select(0, batch.position_M)
            pooled_BD = self.pooling(x_BLD, self._real(batch))
        return Output(self.mlm_head(x_MD), self.decoder_weight, self.mlm_head.bias, self.pair_head(pooled_BD))

    def _states(self, batch: Batch, read_N: Tensor | None) -> Tensor:
        """Return the states of the last layer: all (B, L, D), or only the flat positions `read_N` (N, D)."""
        x_ND, sight = self._embedded(batch, read_N)
        *inner, last = self.blocks
        for block in inner:
            x_ND, sight = block(x_ND, sight), self._next(sight)
        if read_N is None:
            return sight.rows(last(x_ND, sight))
        places_N = read_N if sight.packing is None else sight.packing.places(read_N)
        asking = asking_of(read_N, *batch.ids_BL.shape)
        return last(x_ND, replace(sight, read_N=places_N, asking=asking))  # type: ignore[no-any-return]

    def _embedded(self, batch: Batch, read_N: Tensor | None) -> tuple[Tensor, Sight]:
        """Return the input states of the first layer, packed if that saves time, and its context."""
        real_BL = self._real(batch)
        keys = None if real_BL is None else real_BL[:, None, None, :]
        packing = None if real_BL is None or not self.by_token else packing_of(real_BL, read_N)
        allowed = both(keys, self.visibility.allowed(batch))
        if batch.one_way:
            allowed = both(allowed, square(batch).tril())
        sight = Sight(self.position, real_BL, allowed, self._bias(batch), packing=packing)
        x_ND = sight.tokens(self.embedding(self.visibility.tokens(batch), batch.segments_BL, real_BL))
        asking_BL = self.visibility.queries(batch)
        if asking_BL is None:
            return x_ND, sight
        return sight.tokens(self.embedding(asking_BL, batch.segments_BL, real_BL)), replace(sight, source_ND=x_ND)

    def _next(self, sight: Sight) -> Sight:
        """Return the context of the next layer: keys and values come from its own states, unless they are isolated."""
        return sight if self.visibility.isolated else replace(sight, source_ND=None)

    def _real(self, batch: Batch) -> Tensor | None:
        return batch.real_BL if self.shape.padding_mask else None

    def _bias(self, batch: Batch) -> Tensor | None:
        """Return what positions add to the scaled attention scores (1, H, L, L)."""
        length = batch.ids_BL.shape[1]
        bias_HLL, correlation_HLL = self.position.bias(length), self.embedding.correlation(length)
        if correlation_HLL is not None:
            correlation_HLL = self.scale * correlation_HLL
            bias_HLL = correlation_HLL if bias_HLL is None else bias_HLL + correlation_HLL
        return None if bias_HLL is None else bias_HLL[None]


@bounded
def build(
    vocab_size: int,
    length: int,
    *,
    layers: int,
    width: int,
    heads: int,
    head_width: int | None,
    inner: int,
    dropout: float,
    segment_types: int,
    embedding_std: float,
    dense_std: float,
    skip: bool,
    padding_mask: bool,
    tie_output: bool,
    dense_gain: float | None,
    unigram_bias: bool,
    **parts: Unpack[Parts],
) -> Bert:
    """Build a model from its sizes and the factories of its parts.

    Raises InputError for sizes that do not fit and for parts that cannot be combined.
    """
    sizes = (vocab_size, length, layers, width, heads, inner, dropout, segment_types, embedding_std, dense_std)
    start = (dense_gain, unigram_bias)
    shape = Shape(*sizes, head_width, *start, skip=skip, padding_mask=padding_mask, tie_output=tie_output)
    with torch.random.fork_rng(devices=[]):  # torch draws unused initial values from its global generator
        return Bert(shape, parts)
