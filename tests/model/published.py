"""The published BERT with weights of transformers: the other direction of `bertlab/model/reference.py`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert, build
from bertlab.model.block import PostNorm
from bertlab.model.embedding import Sum
from bertlab.model.feed_forward import gelu
from bertlab.model.norm import layer
from bertlab.model.pooling import cls
from bertlab.model.position import Learned
from bertlab.model.reference import BASE, DECODER_BIAS, MLM_BIAS, names
from bertlab.model.scale import sqrt
from bertlab.model.score import softmax
from bertlab.model.sharing import share
from bertlab.model.visibility import Everyone


@torch.no_grad()
def from_reference(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Bert:
    """Return a BERT as published with the reference's weights, in evaluation mode."""
    model = build_published(config)
    tied = model.shape.tie_output
    given = dict(weights) if tied else {**weights, MLM_BIAS: weights[DECODER_BIAS]}
    wanted = names(model.shape.layers, tied=tied)
    for name, parameter in model.named_parameters():
        parameter.copy_(given[wanted[name]])
    return model.eval()


def build_published(config: Mapping[str, Any]) -> Bert:
    """Build a BERT as published with a configuration's sizes."""
    sizes = {**BASE, **config}
    dropout = sizes["hidden_dropout_prob"]
    return build(
        sizes["vocab_size"],
        sizes["max_position_embeddings"],
        layers=sizes["num_hidden_layers"],
        width=sizes["hidden_size"],
        heads=sizes["num_attention_heads"],
        head_width=None,
        inner=sizes["intermediate_size"],
        dropout=dropout,
        segment_types=sizes["type_vocab_size"],
        embedding_std=sizes["initializer_range"],
        dense_std=sizes["initializer_range"],
        skip=True,
        padding_mask=True,
        tie_output=sizes["tie_word_embeddings"],
        dense_gain=None,
        unigram_bias=False,
        position=partial(Learned, positions=sizes["max_position_embeddings"]),
        norm=partial(layer, eps=sizes["layer_norm_eps"], affine=True),
        embedding=partial(Sum, segment=True),
        attention=partial(SelfAttention, query="query", key="key", value="value", output=True),
        scale=sqrt,
        score=softmax,
        visibility=Everyone,
        feed_forward=gelu,
        block=PostNorm,
        sharing=partial(share, parts=()),
        pooling=cls,
    )
