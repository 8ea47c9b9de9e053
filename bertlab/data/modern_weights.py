"""Renames the weights of a transformers ModernBERT, without importing it.

There, queries, keys and values are one matrix, and so are gate and expansion of a layer.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bertlab.data.modern import settings_of

if TYPE_CHECKING:
    from torch import Tensor

WHOLE = {  # their name: our names of its parts, from top to bottom
    "embeddings.tok_embeddings": ("embedding.token",),
    "embeddings.norm": ("embedding.norm",),
    "head.dense": ("mlm_head.transform",),
    "head.norm": ("mlm_head.norm",),
}
LAYER = {  # the same in every layer
    "attn_norm": ("attention_norm",),
    "attn.Wqkv": ("attention.query", "attention.key", "attention.value"),
    "attn.Wo": ("attention.output",),
    "mlp_norm": ("feed_forward_norm",),
    "mlp.Wi": ("feed_forward.gate", "feed_forward.expand"),
    "mlp.Wo": ("feed_forward.contract",),
}
BODY = "model."
INNER = "inner."  # prefix if layers are local and global in turn


def names(layers: int) -> dict[str, tuple[str, ...]]:
    """Return for each of their names the modules of ours that it contains."""
    in_layers = {
        f"layers.{number}.{theirs}": tuple(f"blocks.{number}.{INNER}{each}" for each in ours)
        for number in range(layers)
        for theirs, ours in LAYER.items()
    }
    return WHOLE | in_layers | {"final_norm": (f"blocks.{layers - 1}.{INNER}final_norm",)}


def from_modern(config: Mapping[str, Any], weights: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Return the weights by our names; a weight without a name of ours keeps its name.

    Raises InputError for a configuration that our parts cannot express.
    """
    settings = settings_of(config)
    whole = names(settings["model.layers"])
    found: dict[str, Tensor] = {}
    for theirs, value in weights.items():
        module, _, kind = theirs.removeprefix(BODY).rpartition(".")
        places = whole.get(module, (module,))
        for place, part in zip(places, value.chunk(len(places)), strict=True):
            found[f"{place}.{kind}" if place else kind] = part.clone()
    if "decoder.bias" in found:
        found["mlm_head.bias"] = found.pop("decoder.bias")
    if settings["model.tie_output"]:
        found.pop("decoder.weight", None)
    return found
