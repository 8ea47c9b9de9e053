"""Visibility: which tokens a token may attend to, and whether it sees itself.

A prediction is *clean* if no path leads to it from the input token at the same position. This is needed to predict
every token from all others at once. Masked language modelling does not need it, because [MASK] is at that position.

Legend: B batch, L length, D width, N tokens: (B, L), or flat.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.tokenizer import MASK
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight, both

MakeBlock = Callable[[Shape], nn.Module]


class Everyone:
    """Every token attends to every token: a bidirectional encoder (Devlin et al. 2018)."""

    restricts = False  # whether attention needs a mask
    asks_apart = False  # whether queries have their own embedding
    isolated = False  # whether keys and values of all layers come from the first layer's input

    def allowed(self, batch: Batch) -> Tensor | None:
        """Return a mask (true: attention allowed) that broadcasts to (B, H, L, L); None: all true. Ignores padding."""
        return None

    def tokens(self, batch: Batch) -> Tensor:
        """Return the input ids."""
        return batch.ids_BL

    def queries(self, batch: Batch) -> Tensor | None:
        """Return the ids of separate queries (tokens are then only keys and values in the first layer), or None."""
        return None

    def block(self, shape: Shape, make: MakeBlock) -> nn.Module:
        """Return one layer."""
        return make(shape)


class LeftToRight(Everyone):
    """A token attends to itself and to the tokens before it (Radford et al. 2018).

    [CLS] is first and sees only itself: choose another model/pooling if pairs matter.
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow the lower triangle."""
        return square(batch).tril()


class RightToLeft(Everyone):
    """A token attends to itself and to the tokens after it."""

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow the upper triangle."""
        return square(batch).triu()


class TwoDirections(Everyone):
    """Two one-directional encoders in parallel, joined after the last layer (Peters et al. 2018, ELMo).

    Each half has half the width, half the heads of the same width, and its own inner width `inner` + `heads *
    head_width`. So the weight matrices of a layer have exactly as many parameters as in one encoder with a plain
    feed-forward layer. Biases are `inner` + 2 * `heads * head_width` more per layer. The halves have separate norms;
    the norm of the embedding is shared.
    """

    restricts = True

    def block(self, shape: Shape, make: MakeBlock) -> nn.Module:
        """Return one layer of both halves. Raises InputError for odd sizes."""
        for name in ("heads", "width"):
            if getattr(shape, name) % 2:
                raise InputError(
                    f"model.{name} must be even for model/visibility=two_directions, got {getattr(shape, name)}; "
                    "each direction has half of it"
                )
        # each direction: half the width and heads, a larger inner width
        half = replace(
            shape,
            width=shape.width // 2,
            heads=shape.heads // 2,
            inner=shape.inner + shape.heads_width,
            stated_head_width=shape.head_width,
        )
        return Halves(make(half), make(half))


class Halves(nn.Module):
    """One layer of two separate encoders, on the two halves of the states."""

    def __init__(self, left_to_right: nn.Module, right_to_left: nn.Module) -> None:
        super().__init__()
        self.left_to_right, self.right_to_left = left_to_right, right_to_left

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return (N, D). Even heads' biases go left to right, so that both halves get steep and flat slopes."""
        # one causal mask per direction, and every second head's bias
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
        # run both halves on their part of the states
        first_ND, second_ND = x_ND.chunk(2, dim=-1)
        return torch.cat((self.left_to_right(first_ND, first), self.right_to_left(second_ND, second)), dim=-1)


class Diagonal(Everyone):
    """A token attends to all tokens except itself: the naive variant, which is not clean.

    The token is still in its own query and skip connection; in deeper layers other tokens return it.
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow all but the diagonal."""
        return ~torch.eye(batch.ids_BL.shape[1], dtype=torch.bool, device=batch.ids_BL.device)


class DiagonalQuery(Diagonal):
    """Like `Diagonal`, with queries that do not contain the token: clean with one layer, not with two.

    The query at every position is the embedding of [MASK] with position and segment. From the second layer on, keys and
    values come from states that have seen the token.
    """

    asks_apart = True

    def queries(self, batch: Batch) -> Tensor:
        """Return [MASK] everywhere."""
        return torch.full_like(batch.ids_BL, MASK)


class DiagonalPosition(DiagonalQuery):
    """Like `DiagonalQuery`, with keys and values of every layer made from the embedding: clean at any depth.

    Shin et al. 2020 (arXiv:2004.08097, T-TA: self-masking and input isolation); Yang et al. 2019 (XLNet, query stream).
    """

    isolated = True


class Blocked(Everyone):
    """No token attends to predicted positions, but these keep their tokens: not clean, because of the skip connection.

    Use it with a masking policy that keeps the predicted tokens (mask.split=[0,0,1]).
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow the columns of positions that are not predicted."""
        return ~predicted(batch)[:, None, None, :]


class BlockedPosition(Blocked):
    """Like `Blocked`, but the input at predicted positions is always [MASK]: clean at any depth.

    The difference from BERT's [MASK]: other tokens do not see where a token is missing.
    """

    def tokens(self, batch: Batch) -> Tensor:
        """Return [MASK] at predicted positions and the original tokens elsewhere."""
        return batch.ids_BL.masked_fill(predicted(batch), MASK)


class Bridge(Everyone):
    """Encoder and decoder in one stack: A attends to all of A; a token of B attends to B up to itself and to part of A.

    Dong et al. 2019 (UniLM, arXiv:1905.03197, sec. 3, sequence to sequence). If B sees all of A, attention to A
    replaces cross-attention (Vaswani et al. 2017); encoder and decoder share their weights.
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow A to A, the lower triangle of B to B, and the bridge from B to A."""
        # masks of queries (rows) and keys (columns): A to A, B to earlier B, B to A
        in_b_BL = batch.segments_BL == 1
        in_a_BL = ~in_b_BL
        within_a_BLL = in_a_BL[:, :, None] & in_a_BL[:, None, :]
        within_b_BLL = in_b_BL[:, :, None] & in_b_BL[:, None, :] & square(batch).tril()
        over_BLL = in_b_BL[:, :, None] & (in_a_BL & self.bridge(in_b_BL))[:, None, :]
        return (within_a_BLL | within_b_BLL | over_BLL)[:, None]

    def bridge(self, in_b_BL: Tensor) -> Tensor:
        """Return which positions of A the tokens of B may attend to (B, L)."""
        raise NotImplementedError


class BridgeAll(Bridge):
    """B attends to every token of A: an encoder-decoder with cross-attention."""

    def bridge(self, in_b_BL: Tensor) -> Tensor:
        """Allow all."""
        return torch.ones_like(in_b_BL)


class BridgeLast(Bridge):
    """B attends only to the last token of A, its [SEP]: the whole source in one state (Sutskever et al. 2014)."""

    def bridge(self, in_b_BL: Tensor) -> Tensor:
        """Allow the position before B."""
        return in_b_BL.roll(-1, dims=1)


class BridgeNone(Bridge):
    """B does not attend to A: a language model of the target."""

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
