"""Conversion to and from `BertForPreTraining` of transformers, without importing it.

Our side is a `Bert`; their side is a configuration (`config.json`) and weights by name (`model.safetensors`).
BERT as published converts weight by weight. Another arm is exported if BERT with rewritten weights computes the same:
copied if shared, the identity for a missing projection, multiplied for another score scale. Parts that BERT does not
support are refused (`expressible.py`).

Legend: D width, K head width, N positions.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bertlab.data.tokenizer import PAD
from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert
from bertlab.model.expressible import check_expressible
from bertlab.model.norm import LayerNorm
from bertlab.model.position import Learned
from bertlab.model.scale import sqrt
from bertlab.model.value_residual import check_own_values

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


def modern(name: str) -> str:
    """Return a weight's current name: in the first published files, norms have gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def save_reference(folder: Path, config: Mapping[str, Any], weights: Weights) -> None:
    """Write the two files that `BertForPreTraining.from_pretrained(folder)` reads."""
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
