"""Visibility: who may look at whom, and what a token knows of itself.

A prediction is *clean* when no path leads to it from the token that stands in the input at its own place. Predicting
every token from all others at once needs that; masked language modelling does not, because [MASK] stands there.

Legend: B batch, L length, D width, N tokens: (B, L), or flat.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from bertlab.batch.batches import Batch
from bertlab.config.errors import InputError
from bertlab.data.tokenizer import MASK
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight, both

MakeBlock = Callable[[Shape], nn.Module]


class Everyone:
    """Every token looks at every one: a truly bidirectional encoder (Devlin et al. 2018)."""

    restricts = False  # whether attention must heed it
    asks_apart = False  # whether what asks is embedded apart from the tokens
    isolated = False  # whether keys and values of all layers are made of what entered the first one

    def allowed(self, batch: Batch) -> Tensor | None:
        """Return whether a query may look at a key, bool, broadcast to (B, H, L, L); None: always. Without padding."""
        return None

    def tokens(self, batch: Batch) -> Tensor:
        """Return the ids that enter."""
        return batch.ids_BL

    def queries(self, batch: Batch) -> Tensor | None:
        """Return ids whose states ask while the tokens, in the first layer, only answer; None: tokens ask too."""
        return None

    def block(self, shape: Shape, make: MakeBlock) -> nn.Module:
        """Return one layer."""
        return make(shape)


class LeftToRight(Everyone):
    """A token looks at itself and at what stands before it (Radford et al. 2018).

    [CLS] stands first and sees nothing but itself: choose another model/pooling where pairs matter.
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow the lower triangle."""
        return square(batch).tril()


class RightToLeft(Everyone):
    """A token looks at itself and at what stands after it."""

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow the upper triangle."""
        return square(batch).triu()


class TwoDirections(Everyone):
    """Two one-directional encoders side by side, joined after the last layer (Peters et al. 2018, ELMo).

    Each half has half the width and half the heads of the same width, and `inner` + `heads * head_width` as its own
    inner width. All weight matrices of a layer then hold exactly as many parameters as those of one encoder with a
    plain feed-forward layer; biases are `inner` + 2 * `heads * head_width` more a layer. Norms of the halves are
    separate, that of the embedding is common.
    """

    restricts = True

    def block(self, shape: Shape, make: MakeBlock) -> nn.Module:
        """Return one layer of both halves. Raises InputError for sizes that have no half."""
        for name in ("heads", "width"):
            if getattr(shape, name) % 2:
                raise InputError(
                    f"model.{name} must be even for model/visibility=two_directions, got {getattr(shape, name)}; "
                    "each direction has half of it"
                )
        half = replace(
            shape,
            width=shape.width // 2,
            heads=shape.heads // 2,
            inner=shape.inner + shape.heads_width,
            stated_head_width=shape.head_width,
        )
        return Halves(make(half), make(half))


class Halves(nn.Module):
    """One layer of two encoders that never meet, on the two halves of the states."""

    def __init__(self, left_to_right: nn.Module, right_to_left: nn.Module) -> None:
        super().__init__()
        self.left_to_right, self.right_to_left = left_to_right, right_to_left

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return (N, D). Biases of even heads go left to right, so that both halves get steep and flat slopes."""
        length = x_ND.shape[1] if sight.packing is None else sight.packing.length
        before_LL = torch.ones(length, length, dtype=torch.bool, device=x_ND.device).tril()
        bias = sight.bias
        first, second = (
            replace(
                sight,
                allowed=both(sight.allowed, allowed_LL),
                bias=None if bias is None else bias[:, start::2],
            )
            for start, allowed_LL in enumerate((before_LL, before_LL.T))
        )
        first_ND, second_ND = x_ND.chunk(2, dim=-1)
        return torch.cat((self.left_to_right(first_ND, first), self.right_to_left(second_ND, second)), dim=-1)


class Diagonal(Everyone):
    """Only looking at oneself is forbidden: the naive answer, which is not clean.

    The token itself stays in the query and in the skip connection, and in deeper layers others give it back.
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow all but the diagonal."""
        return ~torch.eye(batch.ids_BL.shape[1], dtype=torch.bool, device=batch.ids_BL.device)


class DiagonalQuery(Diagonal):
    """As `Diagonal`, and a token asks without knowing itself: clean with one layer, not with two.

    What asks is the embedding of [MASK] at every place, with its position and segment. From the second layer on keys
    and values are made of states that have seen the token.
    """

    asks_apart = True

    def queries(self, batch: Batch) -> Tensor:
        """Return [MASK] everywhere."""
        return torch.full_like(batch.ids_BL, MASK)


class DiagonalPosition(DiagonalQuery):
    """As `DiagonalQuery`, with keys and values of every layer made of the embedding: clean at any depth.

    Shin et al. 2020 (arXiv:2004.08097, T-TA: self-masking and input isolation); Yang et al. 2019 (XLNet, query stream).
    """

    isolated = True


class Blocked(Everyone):
    """Nobody looks at predicted positions, but their tokens stay: not clean, the skip connection hands them on.

    Meant for a masking policy that keeps what it predicts (mask.split=[0,0,1]).
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow the columns of positions that are not predicted."""
        return ~predicted(batch)[:, None, None, :]


class BlockedPosition(Blocked):
    """As `Blocked`, and predicted positions start from [MASK], whatever stands there: clean at any depth.

    What is left of BERT's [MASK] is that other tokens do not see where something is missing.
    """

    def tokens(self, batch: Batch) -> Tensor:
        """Return [MASK] at predicted positions and the tokens elsewhere."""
        return batch.ids_BL.masked_fill(predicted(batch), MASK)


class Bridge(Everyone):
    """Encoder and decoder as one stack: segment A looks at all of A, a token of B at B up to itself and over a bridge.

    Dong et al. 2019 (UniLM, arXiv:1905.03197, sec. 3, sequence to sequence). With all of A in sight of B, attention
    over A takes the place of cross-attention (Vaswani et al. 2017); encoder and decoder share their weights.
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow all of A to A, the lower triangle to B, and the bridge from A to B."""
        in_b_BL = batch.segments_BL == 1
        in_a_BL = ~in_b_BL
        within_a_BLL = in_a_BL[:, :, None] & in_a_BL[:, None, :]
        within_b_BLL = in_b_BL[:, :, None] & in_b_BL[:, None, :] & square(batch).tril()
        over_BLL = in_b_BL[:, :, None] & (in_a_BL & self.bridge(in_b_BL))[:, None, :]
        return (within_a_BLL | within_b_BLL | over_BLL)[:, None]

    def bridge(self, in_b_BL: Tensor) -> Tensor:
        """Return which positions of A the tokens of B may look at (B, L)."""
        raise NotImplementedError


class BridgeAll(Bridge):
    """B looks at every token of A: an encoder-decoder with cross-attention."""

    def bridge(self, in_b_BL: Tensor) -> Tensor:
        """Allow all."""
        return torch.ones_like(in_b_BL)


class BridgeLast(Bridge):
    """B looks at the last token of A, its [SEP], alone: all of the source in one state (Sutskever et al. 2014)."""

    def bridge(self, in_b_BL: Tensor) -> Tensor:
        """Allow the position before B."""
        return in_b_BL.roll(-1, dims=1)


class BridgeNone(Bridge):
    """B does not look at A: a language model of the target."""

    def bridge(self, in_b_BL: Tensor) -> Tensor:
        """Allow none."""
        return torch.zeros_like(in_b_BL)


def square(batch: Batch) -> Tensor:
    """Return (L, L) of true."""
    length = batch.ids_BL.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=batch.ids_BL.device)


def predicted(batch: Batch) -> Tensor:
    """Return (B, L), true at positions to predict."""
    chosen = torch.zeros(batch.ids_BL.numel(), dtype=torch.bool, device=batch.ids_BL.device)
    return chosen.index_fill(0, batch.position_M, True).view_as(batch.ids_BL)
