"""Checks whether `BertForPreTraining` of transformers supports the parts of a model that is to be exported.

Parts are judged by their type and values, not by the name of their file.
"""

from functools import partial
from typing import Any

from torch import nn

from bertlab.config.errors import InputError
from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert
from bertlab.model.block import PostNorm
from bertlab.model.embedding import Sum
from bertlab.model.feed_forward import FeedForward
from bertlab.model.norm import LayerNorm
from bertlab.model.pooling import cls
from bertlab.model.score import softmax
from bertlab.model.visibility import Everyone


def check_expressible(model: Bert, *, rotary: bool = False) -> None:
    """Raise InputError for the first part that BERT does not support; `rotary`: RoFormer, with other positions."""
    shape, sees, place, joins = model.shape, model.visibility, model.position, model.embedding
    need("model/visibility=all", type(sees) is Everyone, sees, "lets every token look at every one")
    need(
        "model/position=learned",
        rotary or not place.acts_on_scores,
        place,
        "adds vectors of positions to those of tokens",
    )
    need("model/embedding=sum", type(joins) is Sum, joins, "adds up token, segment and position")
    need("model/pooling=cls", function(model.pooling) is cls, model.pooling, "reads pairs off the state of [CLS]")
    need("model.skip=true", shape.skip, shape.skip, "has skip connections")
    need("model.padding_mask=true", shape.padding_mask, shape.padding_mask, "keeps padding out of attention")
    need("model.head_width=null", shape.heads_width == shape.width, shape.head_width, "has heads of width/heads")
    for block in model.blocks:
        check_layer(block)
    for norm in norms(model):
        fits = type(norm) is LayerNorm and norm.eps == model.embedding.norm.eps
        need("model/norm=layer", fits, norm, "has layer normalisation with one eps")


def check_layer(block: nn.Module) -> None:
    """Raise InputError for the first part of a layer that BERT does not support."""
    need("model/block=post", type(block) is PostNorm, block, "normalises what has been added up")
    assert isinstance(block, PostNorm)
    attention, feed_forward = block.attention, block.feed_forward
    fits = type(attention) is SelfAttention
    need("model/attention=softmax", fits, attention, "mixes tokens by attention of queries and keys")
    assert isinstance(attention, SelfAttention)
    score = function(attention.mix)
    need("model/score=softmax", score is softmax, score, "takes the softmax of scores")
    activation = feed_forward.activation if type(feed_forward) is FeedForward else feed_forward
    exact = isinstance(activation, nn.GELU) and activation.approximate == "none"
    need("model/feed_forward=gelu", exact, activation, "has the exact GELU there, as in its MLM head")


def need(choice: str, fits: bool, part: Any, theirs: str) -> None:
    """Raise InputError unless the part fits; `choice`: its key and what to choose; `theirs`: what BERT does."""
    if not fits:
        raise InputError(
            f"{choice.partition('=')[0]} ({_name(part)}) cannot be expressed: BertForPreTraining {theirs}; "
            f"train with {choice} to export"
        )


def norms(model: Bert) -> list[Any]:
    """Return all norms."""
    in_blocks = [norm for block in model.blocks for norm in (block.attention_norm, block.feed_forward_norm)]
    return [model.embedding.norm, *in_blocks, model.mlm_head.norm]


def function(called: Any) -> Any:
    """Return the function itself if the config wrapped it to set keywords."""
    while isinstance(called, partial):
        called = called.func
    return called


def _name(part: Any) -> str:
    if part is None or isinstance(part, bool | int):
        return "none" if part is None else str(part).lower()
    return str(getattr(function(part), "__name__", type(part).__name__))
