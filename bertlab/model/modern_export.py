"""Export of a ModernBERT to `ModernBertForMaskedLM` of transformers, with equal predictions.

The head for pairs is not exported. Weights are rewritten as for BERT (`reference.py`): copied if shared, the identity
for a missing projection, multiplied for another score scale.

Legend: D width, K head width.
"""

from collections.abc import Iterator
from math import asin
from typing import Any

import torch
from torch import Tensor, nn

from bertlab.config.errors import InputError
from bertlab.data.modern import BIASED, FIXED, FULL, KIND, LOCAL
from bertlab.data.modern_weights import BODY, INNER, names
from bertlab.data.tokenizer import CLS, PAD, SEP
from bertlab.model.attention import SelfAttention
from bertlab.model.block import PreNorm
from bertlab.model.embedding import Sum
from bertlab.model.expressible import function
from bertlab.model.feed_forward import GatedFeedForward
from bertlab.model.local import LocalGlobal, Windowed
from bertlab.model.modern import ModernBert
from bertlab.model.no_bias import NoBiasAttention, NoBiasGated
from bertlab.model.norm import LayerNorm
from bertlab.model.position import Rotary
from bertlab.model.reference import Weights
from bertlab.model.scale import sqrt
from bertlab.model.score import softmax
from bertlab.model.value_residual import check_own_values
from bertlab.model.visibility import Everyone

OF_HEADS = ("head.", "decoder.")  # prefixes of their names outside the encoder
BIASES = {"norm": "norm_bias", "attn.": "attention_bias", "mlp.": "mlp_bias"}  # parts of their names: their key


@torch.no_grad()
def to_modern(model: ModernBert) -> tuple[dict[str, Any], Weights]:
    """Return configuration and weights, on the CPU, with which `ModernBertForMaskedLM` gives `model`'s logits.

    Raises InputError that names the unsupported part.
    """
    check_own_values(model)
    check_modern_expressible(model)
    ours = rewritten(model)
    whole = {
        theirs: [place.replace(INNER, "") for place in places] for theirs, places in names(len(model.blocks)).items()
    }
    biased = {_bias_key(theirs) for theirs, places in whole.items() if any(f"{place}.bias" in ours for place in places)}
    weights: Weights = {"decoder.bias": ours["mlm_head.bias"]}
    if not model.shape.tie_output:
        weights["decoder.weight"] = ours["decoder.weight"]
    for theirs, places in whole.items():
        if f"{places[0]}.weight" not in ours:
            continue  # the first layer has no such norm
        name = theirs if theirs.startswith(OF_HEADS) else f"{BODY}{theirs}"
        weights[f"{name}.weight"] = torch.cat([ours[f"{place}.weight"] for place in places])
        if _bias_key(theirs) in biased:
            weights[f"{name}.bias"] = torch.cat([_bias(ours, place) for place in places])
    config = config_of(model) | {key: key in biased for key in BIASED}
    return config, {name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}


def _bias_key(theirs: str) -> str | None:
    """Return the key of their configuration for a module's bias; None if there is none."""
    return next((key for part, key in BIASES.items() if part in theirs), None)


def _bias(ours: Weights, place: str) -> Tensor:
    """Return the bias of a module, or zeros if other modules of its kind have one."""
    weight = ours[f"{place}.weight"]
    return ours.get(f"{place}.bias", weight.new_zeros(len(weight)))


def rewritten(model: ModernBert) -> Weights:
    """Return the weights, by our names without `inner`, of a ModernBERT with the same function as `model`."""
    shape, weights = model.shape, dict(model.state_dict())
    for place, module in model.named_modules(remove_duplicate=False):  # list a shared module at each of its places
        if isinstance(module, LayerNorm) and not module.elementwise_affine:
            weights[f"{place}.weight"] = torch.ones(shape.width)
        if isinstance(module, SelfAttention):
            gain = model.scale / sqrt(shape.head_width)  # exactly 1 for the published scale
            weights |= {f"{place}.{name}": value for name, value in _projections(module, shape.width, gain)}
    return {name.replace(INNER, ""): value for name, value in weights.items()}


def _projections(attention: SelfAttention, width: int, gain: float) -> Iterator[tuple[str, Tensor]]:
    """Yield query, key, value and output as in ModernBERT; `gain` multiplies the queries, so all scores."""
    made = [getattr(attention, name) if name else None for name in attention.roles]
    for role, module in zip(("query", "key", "value", "output"), (*made, attention.output), strict=True):
        dense = module.state_dict() if isinstance(module, nn.Linear) else {"weight": torch.eye(width)}
        for name, value in dense.items():
            yield f"{role}.{name}", gain * value if role == "query" else value


def config_of(model: ModernBert) -> dict[str, Any]:
    """Return their configuration of a checked model, with keys for versions 4 and 5 of transformers."""
    shape = model.shape
    assert isinstance(model.position, Rotary)
    base = base_of(model.position)
    local = base if model.local_base is None else float(model.local_base)
    windows = [block.window if isinstance(block, Windowed) else None for block in model.blocks]
    window = next((each for each in windows if each is not None), None)
    sees = model.visibility
    return FIXED | {
        "model_type": KIND,
        "architectures": ["ModernBertForMaskedLM"],
        "dtype": "float32",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": max(1, round(2 * shape.inner / 3)),  # as in GatedFeedForward
        "max_position_embeddings": shape.length,
        "initializer_range": shape.matrix_std(shape.width),
        "norm_eps": model.embedding.norm.eps,
        "decoder_bias": True,
        **dict.fromkeys(("attention_dropout", "embedding_dropout", "mlp_dropout"), shape.dropout),
        "layer_types": [FULL if each is None else LOCAL for each in windows],
        "rope_parameters": {
            FULL: {"rope_type": "default", "rope_theta": base},
            LOCAL: {"rope_type": "default", "rope_theta": local},
        },
        "global_rope_theta": base,
        "local_rope_theta": local,
        "global_attn_every_n_layers": sees.every if isinstance(sees, LocalGlobal) else 1,
        **({} if window is None else {"local_attention": window}),
        "pad_token_id": PAD,
        **dict.fromkeys(("bos_token_id", "cls_token_id"), CLS),
        **dict.fromkeys(("eos_token_id", "sep_token_id"), SEP),
        "tie_word_embeddings": shape.tie_output,
    }


def base_of(position: Rotary) -> float:
    """Return the base b of the angles, from the smallest one, b^(2/K - 1) at position 1; exact to seven digits.

    With one pair of components, or one position, every base gives the same angles.
    """
    _, length, width = position.sin_HLK.shape
    if width == 2 or length == 1:
        return 10_000.0
    base = asin(float(position.sin_HLK[0, 1, -1])) ** (-width / (width - 2))
    rounded = float(f"{base:.6g}")
    return rounded if abs(rounded - base) < 1e-6 * base else base


def check_modern_expressible(model: ModernBert) -> None:
    """Raise InputError for the first part that ModernBERT does not support."""
    shape, sees, place, joins = model.shape, model.visibility, model.position, model.embedding
    need("model/visibility=local_global", type(sees) in (Everyone, LocalGlobal), sees, "has local and global layers")
    need("model/position=rotary", type(place) is Rotary, place, "turns queries and keys by their positions")
    whole = type(joins) is Sum and joins.segment is None
    need("model/embedding=no_segment", whole, joins, "embeds tokens alone")
    need("model.skip=true", shape.skip, shape.skip, "has skip connections")
    need("model.padding_mask=true", shape.padding_mask, shape.padding_mask, "keeps padding out of attention")
    need("model.head_width=null", shape.heads_width == shape.width, shape.head_width, "has heads of width/heads")
    layers = [block.inner if isinstance(block, Windowed) else block for block in model.blocks]
    for layer in layers:
        assert isinstance(layer, PreNorm)
        _check_layer(layer)
    inside = [norm for layer in layers for norm in (layer.attention_norm, layer.feed_forward_norm, layer.final_norm)]
    for norm in (joins.norm, *filter(None, inside), model.mlm_head.norm):
        fits = type(norm) is LayerNorm and norm.eps == joins.norm.eps
        need("model/norm=layer_no_bias", fits or norm is layers[0].attention_norm, norm, "has one layer normalisation")


def _check_layer(layer: PreNorm) -> None:
    attention, feed_forward = layer.attention, layer.feed_forward
    fits = type(attention) in (SelfAttention, NoBiasAttention)
    need("model/attention=no_bias", fits, attention, "mixes tokens by attention of queries and keys")
    assert isinstance(attention, SelfAttention)
    score = function(attention.mix)
    need("model/score=softmax", score is softmax, score, "takes the softmax of scores")
    fits = type(feed_forward) in (GatedFeedForward, NoBiasGated)
    need("model/feed_forward=geglu_no_bias", fits, feed_forward, "has GEGLU there")


def need(choice: str, fits: bool, part: Any, theirs: str) -> None:
    """Raise InputError unless the part fits; `choice`: its key and what to choose; `theirs`: what they do."""
    if fits:
        return
    if part is None or isinstance(part, bool | int):
        said = "none" if part is None else str(part).lower()
    else:
        said = getattr(function(part), "__name__", type(part).__name__)
    raise InputError(
        f"{choice.partition('=')[0]} ({said}) cannot be expressed: ModernBertForMaskedLM {theirs}; train with {choice} "
        "to export"
    )
