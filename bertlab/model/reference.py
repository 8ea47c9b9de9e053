"""Conversion to and from `BertForPreTraining` of transformers, without importing it.

Our side is a `Bert`; their side is a configuration (`config.json`) and weights by name (`model.safetensors`).
BERT as published converts weight by weight. Another arm is exported if BERT with rewritten weights computes the same:
copied if shared, the identity for a missing projection, multiplied for another score scale. Parts that BERT does not
support are refused (`expressible.py`).

Legend: D width, K head width, N positions.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertlab.config.errors import InputError
from bertlab.data.tokenizer import PAD
from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert, build
from bertlab.model.block import PostNorm
from bertlab.model.embedding import Sum
from bertlab.model.expressible import check_expressible
from bertlab.model.feed_forward import gelu
from bertlab.model.norm import LayerNorm, layer
from bertlab.model.pooling import cls
from bertlab.model.position import Learned
from bertlab.model.scale import sqrt
from bertlab.model.score import softmax
from bertlab.model.sharing import share
from bertlab.model.value_residual import check_own_values
from bertlab.model.visibility import Everyone

Weights = dict[str, Tensor]
CONFIG, WEIGHTS = "config.json", "model.safetensors"  # file names

EMBEDDINGS = {  # our name: their name; one weight each
    "embedding.token": "bert.embeddings.word_embeddings",
    "embedding.segment": "bert.embeddings.token_type_embeddings",
    "position.table": "bert.embeddings.position_embeddings",
}
DENSE = {  # a weight and a bias each
    "embedding.norm": "bert.embeddings.LayerNorm",
    "mlm_head.transform": "cls.predictions.transform.dense",
    "mlm_head.norm": "cls.predictions.transform.LayerNorm",
    "pair_head.pool": "bert.pooler.dense",
    "pair_head.classify": "cls.seq_relationship",
}
LAYER = {  # the same, in every layer
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feed_forward.expand": "intermediate.dense",
    "feed_forward.contract": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
MLM_BIAS, DECODER_BIAS = "cls.predictions.bias", "cls.predictions.decoder.bias"  # one parameter if the output is tied
COPIES = {"cls.predictions.decoder.weight", DECODER_BIAS, "bert.embeddings.position_ids"}  # in files of older versions

FIXED = {  # equal in every configuration
    "model_type": "bert",
    "hidden_act": "gelu",  # exact GELU, in the feed-forward layers and in the MLM head
    "is_decoder": False,
    "add_cross_attention": False,
}
BASE: dict[str, Any] = {  # BERT-base: defaults of a configuration
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "tie_word_embeddings": True,
}


def names(layers: int, *, tied: bool) -> dict[str, str]:
    """Return the name of every weight of BERT as published: our name -> their name."""
    in_layers = {
        f"blocks.{number}.{ours}": f"bert.encoder.layer.{number}.{theirs}"
        for number in range(layers)
        for ours, theirs in LAYER.items()
    }
    dense = DENSE | in_layers
    found = {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in (EMBEDDINGS | dense).items()}
    found |= {f"{ours}.bias": f"{theirs}.bias" for ours, theirs in dense.items()}
    found["mlm_head.bias"] = MLM_BIAS
    return found if tied else found | {"decoder.weight": "cls.predictions.decoder.weight"}


@torch.no_grad()
def to_reference(model: Bert) -> tuple[dict[str, Any], Weights]:
    """Return configuration and weights, on the CPU, with which `BertForPreTraining` computes the same as `model`.

    Raises InputError that names the unsupported part.
    """
    check_own_values(model)
    check_expressible(model)
    return to_reference_parts(model)


@torch.no_grad()
def to_reference_parts(model: Bert) -> tuple[dict[str, Any], Weights]:
    """Return configuration and weights of a checked model, without the effect of positions on scores."""
    shape, ours = model.shape, rewritten(model)
    config = FIXED | {
        "architectures": ["BertForPreTraining"],
        "dtype": "float32",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.inner,
        "hidden_dropout_prob": shape.dropout,
        "attention_probs_dropout_prob": shape.dropout,
        "max_position_embeddings": len(ours["position.table.weight"]),
        "type_vocab_size": shape.segment_types,
        "initializer_range": shape.matrix_std(shape.width),
        "layer_norm_eps": model.embedding.norm.eps,
        "pad_token_id": PAD,
        "tie_word_embeddings": shape.tie_output,
    }
    weights = {theirs: ours[name] for name, theirs in names(shape.layers, tied=shape.tie_output).items()}
    if not shape.tie_output:
        weights[DECODER_BIAS] = weights[MLM_BIAS]
    return config, {name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}


def rewritten(model: Bert) -> Weights:
    """Return the weights, by our names, of a BERT as published with the same function as `model`."""
    shape, weights = model.shape, dict(model.state_dict())
    for place, module in model.named_modules(remove_duplicate=False):  # list a shared module at each of its places
        if isinstance(module, LayerNorm) and not module.elementwise_affine:
            weights |= {f"{place}.weight": torch.ones(shape.width), f"{place}.bias": torch.zeros(shape.width)}
        if isinstance(module, LayerNorm) and module.bias is None:
            weights[f"{place}.bias"] = torch.zeros(shape.width)
        if isinstance(module, SelfAttention):
            gain = model.scale / sqrt(shape.head_width)  # exactly 1 for the published scale
            weights |= {f"{place}.{name}": value for name, value in projections(module, shape.width, gain).items()}
    weights.setdefault("embedding.segment.weight", torch.zeros(shape.segment_types, shape.width))
    weights["position.table.weight"] = positions(model)
    return weights


def projections(attention: SelfAttention, width: int, gain: float) -> Weights:
    """Return query, key, value and output as in BERT; `gain` multiplies the queries, so all scores."""
    query, key, value = (getattr(attention, name) if name else None for name in attention.roles)
    weights: Weights = {}
    for role, module in {"query": query, "key": key, "value": value, "output": attention.output}.items():
        dense = module.state_dict() if isinstance(module, nn.Linear) else identity(width)
        weights |= {f"{role}.{name}": dense[name] for name in ("weight", "bias")}
    return weights | {name: gain * weights[name] for name in ("query.weight", "query.bias")}


def identity(width: int) -> Weights:
    """Return a dense layer that computes the identity."""
    return {"weight": torch.eye(width), "bias": torch.zeros(width)}


def positions(model: Bert) -> Tensor:
    """Return the vector added at each position (N, D): the whole learned table, else `length` rows."""
    if isinstance(model.position, Learned):
        return model.position.table.weight
    table_ND = model.position.vectors(model.shape.length)
    return torch.zeros(model.shape.length, model.shape.width) if table_ND is None else table_ND


@torch.no_grad()
def from_reference(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Bert:
    """Return a BERT as published with the reference's weights, in evaluation mode.

    Raises InputError for a configuration of another model, and for weights that are missing, unknown or of wrong shape.
    """
    model = build_published(config)
    tied = model.shape.tie_output
    given = {modern(name): value for name, value in weights.items()}
    if not tied and DECODER_BIAS in given:
        given[MLM_BIAS] = given[DECODER_BIAS]
    wanted = names(model.shape.layers, tied=tied)
    unknown = set(given) - set(wanted.values()) - COPIES
    if wrong := sorted(set(wanted.values()) - set(given)) or sorted(unknown):
        raise InputError(
            f"{WEIGHTS} must hold the weights of BertForPreTraining and no others, got {wrong[0]} "
            f"{'that is unknown' if wrong[0] in unknown else 'missing'}; save that class with save_pretrained"
        )
    for name, parameter in model.named_parameters():
        value = given[wanted[name]]
        if value.shape != parameter.shape:
            raise InputError(
                f"{WEIGHTS} must fit {CONFIG}, got {wanted[name]} of {list(value.shape)} instead of "
                f"{list(parameter.shape)}; take both files from one model"
            )
        parameter.copy_(value)
    return model.eval()


def modern(name: str) -> str:
    """Return a weight's current name: in the first published files, norms have gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def build_published(config: Mapping[str, Any]) -> Bert:
    """Build a BERT as published with a configuration's sizes. Raises InputError for another model's configuration."""
    sizes = {**BASE, **config}
    dropout = sizes["hidden_dropout_prob"]
    demanded = FIXED | {"position_embedding_type": "absolute", "attention_probs_dropout_prob": dropout}
    for key, value in demanded.items():
        if sizes.get(key, value) != value:
            raise InputError(f"{CONFIG}: {key} must be {value}, got {sizes[key]}; choose a model that is BERT")
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


def save_reference(folder: Path, config: Mapping[str, Any], weights: Weights) -> None:
    """Write the two files that `BertForPreTraining.from_pretrained(folder)` reads."""
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def load_reference(folder: Path) -> Bert:
    """Read a model written by `BertForPreTraining.save_pretrained(folder)` or `save_reference`; unpickles nothing.

    Raises InputError if one of the two files is missing, damaged or not BERT's.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} must hold {CONFIG} and {WEIGHTS}, got no {name}; save the model as one safetensors file "
                "with save_pretrained (pickled weights are never opened)"
            )
    try:
        return from_reference(json.loads((folder / CONFIG).read_text("utf-8")), load_file(folder / WEIGHTS))
    except (json.JSONDecodeError, SafetensorError) as error:
        raise InputError(f"{folder} must hold whole files, got {error}; save the model again") from error
