"""Reads other models under our names: BERT, RoBERTa, DistilBERT, ELECTRA and RoFormer of transformers.

Enters: `config.json` and the weights by the names of their classes, with or without heads. Leaves: the weights by the
names of a `Bert`, and the settings with which it computes the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from bertlab.config.errors import InputError
from bertlab.model.reference import BASE, COPIES, EMBEDDINGS, LAYER, Weights, modern
from bertlab.model.roformer import ANGLES, halves

ROBERTAS = ("roberta", "xlm-roberta", "camembert")
Names = Mapping[str, str]  # their prefix: our prefix

BERT_BODY: Names = {
    **{theirs.removeprefix("bert."): ours for ours, theirs in EMBEDDINGS.items()},
    "embeddings.LayerNorm": "embedding.norm",
    "pooler.dense": "pair_head.pool",
}
BERT_HEADS: Names = {
    "cls.predictions.transform.dense": "mlm_head.transform",
    "cls.predictions.transform.LayerNorm": "mlm_head.norm",
    "cls.predictions.decoder": "decoder",
    "cls.predictions": "mlm_head",  # its bias
    "cls.seq_relationship": "pair_head.classify",
}
ROBERTA_HEADS: Names = {
    "lm_head.dense": "mlm_head.transform",
    "lm_head.layer_norm": "mlm_head.norm",
    "lm_head.decoder": "decoder",
    "lm_head": "mlm_head",
}
DISTILBERT_BODY: Names = {
    "embeddings.word_embeddings": "embedding.token",
    "embeddings.position_embeddings": "position.table",
    "embeddings.LayerNorm": "embedding.norm",
}
DISTILBERT_HEADS: Names = {
    "vocab_transform": "mlm_head.transform",
    "vocab_layer_norm": "mlm_head.norm",
    "vocab_projector": "decoder",
}
DISTILBERT_LAYER: Names = {
    "attention.q_lin": "attention.query",
    "attention.k_lin": "attention.key",
    "attention.v_lin": "attention.value",
    "attention.out_lin": "attention.output",
    "sa_layer_norm": "attention_norm",
    "ffn.lin1": "feed_forward.expand",
    "ffn.lin2": "feed_forward.contract",
    "output_layer_norm": "feed_forward_norm",
}


@dataclass(frozen=True)
class Architecture:
    """Names of an architecture's weights, and its configuration keys for sizes."""

    prefix: str
    body: Names
    layers: str
    layer: Names
    heads: Names
    sizes: Names  # their key: BERT's key of the size


BERT_LAYER = {theirs: ours for ours, theirs in LAYER.items()}
BERT = Architecture("bert.", BERT_BODY, "encoder.layer.", BERT_LAYER, BERT_HEADS, {})
ROBERTA = Architecture("roberta.", BERT_BODY, "encoder.layer.", BERT_LAYER, ROBERTA_HEADS, {})
ELECTRA = Architecture("electra.", BERT_BODY, "encoder.layer.", BERT_LAYER, {}, {})
ROFORMER = Architecture("roformer.", BERT_BODY, "encoder.layer.", BERT_LAYER, BERT_HEADS, {})
DISTILBERT = Architecture(
    *("distilbert.", DISTILBERT_BODY, "transformer.layer.", DISTILBERT_LAYER, DISTILBERT_HEADS),
    {
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
        "activation": "hidden_act",
    },
)
KNOWN = {"bert": BERT, **dict.fromkeys(ROBERTAS, ROBERTA), "electra": ELECTRA}
KNOWN |= {"distilbert": DISTILBERT, "roformer": ROFORMER}
TURNED = (".attention.query.", ".attention.key.")
ONLY = {  # values that all configurations must have, if they state them
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "sinusoidal_pos_embds": False,
    "rotary_value": False,
}


@dataclass(frozen=True)
class Foreign:
    """Another model: its weights by our names, and the values of our keys that match it."""

    weights: Weights
    settings: Mapping[str, Any]
    angles: Tensor | None = None  # (N, K): sines and cosines of the rotations of queries and keys


def read_foreign(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Foreign:
    """Return a model by our names. Raises InputError for an architecture that our parts cannot express."""
    kind = str(config.get("model_type"))
    if kind not in KNOWN:
        raise InputError(
            f"start must hold a model of {', '.join(KNOWN)}, got model_type {kind}; choose a checkpoint of one of them"
        )
    architecture = KNOWN[kind]
    sizes = {**BASE, **{architecture.sizes.get(key, key): value for key, value in config.items()}}
    for key, value in ONLY.items():
        if sizes.get(key, value) != value:
            raise InputError(f"start must hold a model with {key} {value}, got {sizes[key]}; choose another checkpoint")
    if sizes.get("embedding_size", sizes["hidden_size"]) != sizes["hidden_size"]:
        raise InputError(
            f"start must hold embeddings as wide as the layers, got {sizes['embedding_size']} and "
            f"{sizes['hidden_size']}; choose a checkpoint without a projection"
        )
    found = {ours: value for theirs, value in weights.items() if (ours := _name(modern(theirs), architecture))}
    if kind == "distilbert":
        sizes["type_vocab_size"] = 0
        _move(found, "decoder.bias", "mlm_head.bias")
    if kind == "roformer":  # RoFormer rotates neighbouring components; we rotate the halves of a head
        heads = sizes["num_attention_heads"]
        found |= {name: halves(value, heads) for name, value in found.items() if any(turn in name for turn in TURNED)}
    if kind in ROBERTAS:  # position ids start after the padding id
        first = int(sizes.get("pad_token_id", 1)) + 1
        found["position.table.weight"] = found["position.table.weight"][first:]
    _arrange(found, tied=bool(sizes["tie_word_embeddings"]))
    if sizes["type_vocab_size"] == 1:  # all tokens have the same segment vector: add it to the positions
        found["position.table.weight"] = found["position.table.weight"] + found.pop("embedding.segment.weight")
    settings = {
        "model.layers": sizes["num_hidden_layers"],
        "model.width": sizes["hidden_size"],
        "model.heads": sizes["num_attention_heads"],
        "model.inner": sizes["intermediate_size"],
        "model.norm.eps": 1e-12 if kind == "distilbert" else sizes["layer_norm_eps"],
        "model.tie_output": bool(sizes["tie_word_embeddings"]),
        "model.embedding.segment": sizes["type_vocab_size"] > 1,
    }
    if sizes["type_vocab_size"] > 1:
        settings["model.segment_types"] = sizes["type_vocab_size"]
    return Foreign(found, settings, weights.get(ANGLES))


def _name(theirs: str, architecture: Architecture) -> str | None:
    """Return our name of a weight; their name if we have none; None for a copy or a counter."""
    if theirs.endswith("position_ids") or theirs == ANGLES or theirs in COPIES - {"cls.predictions.decoder.weight"}:
        return None
    body, dot, kind = theirs.removeprefix(architecture.prefix).rpartition(".")
    if body.startswith(architecture.layers):
        number, _, place = body.removeprefix(architecture.layers).partition(".")
        return f"blocks.{number}.{architecture.layer.get(place, place)}.{kind}"
    names = {**architecture.body, **architecture.heads}
    return f"{names.get(body, body)}{dot}{kind}"


def _move(found: Weights, old: str, new: str) -> None:
    if old in found:
        found[new] = found.pop(old)


def _arrange(found: Weights, *, tied: bool) -> None:
    """Remove weights that files contain twice."""
    if "decoder.bias" in found:
        found.setdefault("mlm_head.bias", found["decoder.bias"])
        del found["decoder.bias"]
    if tied:
        found.pop("decoder.weight", None)
