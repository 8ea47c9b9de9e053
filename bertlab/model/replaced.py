"""Replaced-token detection: a small generator fills the gaps; the model finds the tokens that were replaced.

ELECTRA (Clark et al. 2020, arXiv:2003.10555, sec. 2). Enters: a batch with hidden tokens. Leaves: the generator's
output, and a score for every token of the text after the gaps are filled with samples of the generator. No gradient
passes through the samples. Generator and model share the embeddings of tokens, segments and positions.

Departures: one linear map leads from the model's width into the generator and another one out of it, before BERT's
own MLM head; the paper's head does both at once. Special tokens are never sampled.

Legend: B batch, L length, N = B * L places, D width, V vocabulary, M predicted positions.
"""

from dataclasses import dataclass, replace
from math import gcd
from typing import Unpack, cast

import torch
from torch import Tensor, nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError, own
from bertlab.data.batches import NO_TARGET, Batch
from bertlab.data.tokenizer import SPECIALS
from bertlab.model import bert
from bertlab.model.bert import Bert, Output, Parts
from bertlab.model.embedding import Embedding
from bertlab.model.position import Position
from bertlab.model.settings import Settings
from bertlab.model.shape import Shape
from bertlab.streams import Streams

FIRST_REAL = len(SPECIALS)  # id of the first token that is not special


@dataclass(frozen=True)
class Detected(Output):
    """Output for a batch. The MLM head is the generator's, the pair head the model's."""

    generator_MV: Tensor  # logits of the generator
    named_MD: Tensor  # the states that gave these logits
    detected_BL: Tensor  # logits that a token was replaced
    replaced_BL: Tensor  # bool: whether it was replaced; a sample equal to the original was not
    judged_BL: Tensor  # bool: tokens of the text, neither padding nor special

    @property
    def mlm_MV(self) -> Tensor:  # noqa: N802
        """The logits of the generator; computed again only if the states were replaced."""
        return self.generator_MV if self.state_MD is self.named_MD else super().mlm_MV


class Replaced(Bert):
    """An encoder trained to detect replaced tokens, and its generator."""

    def __init__(self, shape: Shape, parts: Parts, encoder: Bert) -> None:
        super().__init__(shape, parts)
        self.generator = Generator(self.embedding, shape.width, encoder)
        self.detection_head = DetectionHead(shape.width)

    def forward(self, batch: Batch) -> Detected:
        """Return the input of the objective; samples depend on the seed of torch's generator at this step."""
        return self.detect(batch, drawn(batch.ids_BL.numel()))

    def detect(self, batch: Batch, uniform_N: Tensor) -> Detected:
        """Return the same with samples made from numbers in [0, 1), one for each place, used or not."""
        state_MD, bias_V = self.mlm_head(self.generator(batch)), self.mlm_head.bias
        generator_MV = (state_MD @ self.decoder_weight.T).add_(bias_V)
        uniform_M = uniform_N.to(batch.ids_BL.device).index_select(0, batch.position_M)
        original_BL = put(batch.ids_BL, batch.position_M, batch.target_M)
        filled_BL = put(original_BL, batch.position_M, sampled(generator_MV, uniform_M))
        x_BLD = self.encode(replace(batch, ids_BL=filled_BL))
        pair_B2 = self.pair_head(self.pooling(x_BLD, self._real(batch)))
        return Detected(
            state_MD,
            self.decoder_weight,
            bias_V,
            pair_B2,
            generator_MV,
            state_MD,
            detected_BL=self.detection_head(x_BLD),
            replaced_BL=filled_BL != original_BL,
            judged_BL=original_BL >= FIRST_REAL,
        )


class Generator(nn.Module):
    """A narrower encoder on the model's embeddings; its output has the model's width."""

    def __init__(self, shared: Embedding, width: int, encoder: Bert) -> None:
        super().__init__()
        narrow = encoder.shape.width
        encoder.embedding = cast(Embedding, Narrowed(shared, width, narrow))
        del encoder.mlm_head, encoder.pair_head
        encoder.decoder = None
        if not encoder.position.acts_on_scores:
            encoder.position = Position()  # the shared embeddings already contain positions
        self.encoder, self.widen = encoder, nn.Linear(narrow, width)

    def forward(self, batch: Batch) -> Tensor:
        """Return the states of the predicted positions (M, D)."""
        x_ND = self.encoder.encode(batch).flatten(0, 1)
        return self.widen(x_ND.index_select(0, batch.position_M))  # type: ignore[no-any-return]


class Narrowed(nn.Module):
    """Another module's embeddings, projected to a smaller width."""

    def __init__(self, shared: Embedding, width: int, narrow: int) -> None:
        super().__init__()
        self._shared = (shared,)  # in a tuple, so that torch does not register its weights twice
        self.project = nn.Linear(width, narrow)

    def forward(self, ids_BL: Tensor, segments_BL: Tensor, real_BL: Tensor | None = None) -> Tensor:
        """Return the states that enter the first layer."""
        return self.project(self._shared[0](ids_BL, segments_BL, real_BL))  # type: ignore[no-any-return]

    def correlation(self, length: int) -> None:
        """Return None: scores between positions belong to the model."""


class DetectionHead(nn.Module):
    """A dense layer with GELU, then one logit per token, as in the released code."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.activation = nn.GELU()
        self.classify = nn.Linear(width, 1)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Return logits (B, L): positive if a token seems replaced."""
        return self.classify(self.activation(self.transform(x_BLD))).squeeze(-1)  # type: ignore[no-any-return]


@torch.compiler.disable  # type: ignore[untyped-decorator]  # a compiled pass would keep the numbers of its first step
def drawn(size: int) -> Tensor:
    """Return numbers in [0, 1) for the places of this step, from the stream that seeded torch's generator.

    Training sets that seed at every step. So the number of dropout draws since then does not matter.
    """
    return torch.from_numpy(Streams(torch.initial_seed()).generator("replaced").random(size, dtype="float32"))


@torch.no_grad()
def sampled(logit_MV: Tensor, uniform_M: Tensor) -> Tensor:
    """Return one token (M,) from each distribution: the first whose cumulative probability exceeds the number."""
    weight_MV = logit_MV.float().softmax(1)
    weight_MV[:, :FIRST_REAL] = 0
    below_MV = weight_MV.cumsum(1)
    drawn_M1 = (uniform_M * below_MV[:, -1])[:, None]
    return torch.searchsorted(below_MV, drawn_M1, right=True)[:, 0].clamp(max=logit_MV.shape[1] - 1)


def put(ids_BL: Tensor, position_M: Tensor, token_M: Tensor) -> Tensor:
    """Return a copy with other tokens at flat positions.

    Some positions only pad the batch: they repeat an earlier position and have no token. So the larger id counts.
    """
    assert NO_TARGET < 0
    flat_N = ids_BL.flatten().scatter_reduce(0, position_M, token_M, "amax", include_self=False)
    return flat_N.view_as(ids_BL)


@bounded
def build(vocab_size: int, length: int, *, generator: int, **settings: Unpack[Settings]) -> Replaced:
    """Build a model and a generator that is narrower by a factor: in width, inner width and heads, at least one head.

    Raises InputError for sizes that do not fit and for parts that cannot be combined.
    """
    with torch.device("meta"):  # no memory for weights
        shape = bert.build(vocab_size, length, **settings).shape
    narrow = settings.copy()
    narrow["width"], narrow["inner"] = shape.width // generator, max(shape.inner // generator, 1)
    narrow["heads"] = gcd(max(shape.heads // generator, 1), narrow["width"])
    try:
        encoder = bert.build(vocab_size, length, **narrow)
    except InputError as error:
        raise InputError(
            f"{own('generator')} must leave a generator that can be built, got {generator}: {error}"
        ) from None
    with torch.random.fork_rng(devices=[]):  # torch draws unused initial values from its global generator
        model = Replaced(shape, settings, encoder)
    if model.embedding.correlation(1) is not None:
        raise InputError(
            f"{own('embedding')} must add positions to tokens for a generator to share it, got "
            f"{type(model.embedding).__name__}; choose model/embedding=sum"
        )
    return model
