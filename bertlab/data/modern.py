"""Translates the configuration of a transformers ModernBERT to our keys (Warner et al. 2024, arXiv:2412.13663).

Enters: its `config.json`, from versions 4 or 5 of transformers. Leaves: our keys and options for a model with the same
function; and the differences to a run's configuration, before torch is imported.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bertlab.config.bounds import MODERN
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.config.leaves import written
from bertlab.data.weights import CONFIG, INIT, start_of

KIND, MODEL = "modernbert", "modernbert"  # model type in transformers; option in conf/model
MARK = "modernbert.json"  # their configuration, in a folder with the weights by our names
FULL, LOCAL = "full_attention", "sliding_attention"
# values that are checked if present
FIXED = {"hidden_activation": "gelu", "classifier_activation": "gelu", "classifier_bias": False}
SIZES = {  # our key: their key, and ModernBERT-base's value
    "model.layers": ("num_hidden_layers", 22),
    "model.width": ("hidden_size", 768),
    "model.heads": ("num_attention_heads", 12),
    "model.inner": ("intermediate_size", 1152),
    "model.visibility.window": ("local_attention", 128),
}
OPTIONS = {  # of every ModernBERT
    "position": "rotary",
    "embedding": "no_segment",
    "scale": "sqrt",
    "score": "softmax",
    "visibility": "local_global",
    "block": "pre",
}
BIASED = {  # their key: our group, its option without biases, and the one with them
    "norm_bias": ("norm", "layer_no_bias", "layer"),
    "attention_bias": ("attention", "no_bias", "softmax"),
    "mlp_bias": ("feed_forward", "geglu_no_bias", "geglu"),
}


def is_modern(folder: Path) -> bool:
    """Return whether a folder contains a ModernBERT."""
    try:
        return bool(json.loads((folder / CONFIG).read_text("utf-8"))["model_type"] == KIND)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def options_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the option of each group of `model` that matches their configuration."""
    biased = {group: options[bool(config.get(key, False))] for key, (group, *options) in BIASED.items()}
    return OPTIONS | biased


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of our keys. Raises InputError for a configuration that our parts cannot express."""
    for key, value in FIXED.items():
        if config.get(key, value) != value:
            raise _refused(key, written(value), written(config[key]))
    settings = {ours: int(config.get(theirs, usual)) for ours, (theirs, usual) in SIZES.items()}
    settings["model.inner"] = (3 * settings["model.inner"] + 1) // 2  # a gated layer has 2/3 of it, rounded
    return settings | {
        "model.tie_output": bool(config.get("tie_word_embeddings", True)),
        "model.norm.eps": float(config.get("norm_eps", 1e-5)),
        "model.visibility.every": _every(config, settings["model.layers"]),
        "model.position.base": _base(config, FULL, "global_rope_theta", 160_000.0),
        "model.local_base": _base(config, LOCAL, "local_rope_theta", 10_000.0),
    }


def _every(config: Mapping[str, Any], layers: int) -> int:
    """Return n if every n-th layer is global, starting with the first."""
    kinds = config.get("layer_types")
    if kinds is None:
        return int(config.get("global_attn_every_n_layers", 3))
    for every in range(1, layers + 1):
        if list(kinds) == [LOCAL if number % every else FULL for number in range(layers)]:
            return every
    raise _refused("layer_types", f"that has one {FULL} at the start of every so many layers", written(kinds))


def _base(config: Mapping[str, Any], kind: str, old: str, usual: float) -> float:
    """Return the base of the rotary angles for one kind of layers."""
    rope = (config.get("rope_parameters") or {}).get(kind) or {}
    scaled = rope.get("rope_type", "default") if config.get("rope_scaling") is None else config["rope_scaling"]
    if scaled != "default":
        raise _refused("rope_type", "default", written(scaled))
    return float(rope.get("rope_theta", config.get(old, usual)))


def _refused(key: str, wanted: str, got: str) -> InputError:
    return InputError(f"start must hold a ModernBERT with {key} {wanted}, got {got}; choose another checkpoint")


def words_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the command-line words that make the model. Raises InputError."""
    yield f"model={MODEL}"
    options = options_of(config)
    yield from (f"model/{group}={options[group]}" for group, usual, _ in BIASED.values() if options[group] != usual)
    yield from (f"{key}={written(value)}" for key, value in settings_of(config).items())


def check_modern(config: Mapping[str, Any]) -> None:
    """Raise InputError if a run's model computes something else than the ModernBERT from which it starts.

    With `start.missing=init` some parts may differ. Equal parts must still have equal keys: for a rotary base or a
    window, no weight would show the difference.
    """
    start = start_of(config)
    if start is None or not (start.folder / MARK).is_file():
        return
    theirs = json.loads((start.folder / MARK).read_text("utf-8"))
    words = list(_other(config["model"], theirs, changing=start.missing == INIT))
    if words:
        raise InputError(
            f"model must compute what start={start.folder.name} does, got another one; add {' '.join(words)}"
            f"{'' if start.missing == INIT else ', or start.missing=init where other parts are meant'}"
        )


def _other(model: Mapping[str, Any], theirs: Mapping[str, Any], *, changing: bool) -> Iterator[str]:
    """Yield the words that match a model to theirs; with `changing`, without words for other parts or sizes."""
    settings, same = settings_of(theirs), model["_target_"] == MODERN
    if not same and not changing:
        yield f"model={MODEL}"
    for group, option in options_of(theirs).items():
        usual = resolved(load([f"model/{group}={option}"]))["model"][group]
        keys = {key: settings.get(f"model.{group}.{key}", value) for key, value in usual.items() if key[0] != "_"}
        chosen = model[group]["_target_"] == usual["_target_"]
        if not chosen and not changing:
            yield f"model/{group}={option}"
        for key, value in keys.items():
            told = f"model.{group}.{key}" in settings  # settings without a weight
            if model[group].get(key) != value and ((chosen and told) or not changing):
                yield f"model.{group}.{key}={written(value)}"
    for key, value in settings.items():
        name = key.removeprefix("model.")
        counts = (same and name == "local_base") or not changing
        if "." not in name and counts and model.get(name) != value:
            yield f"{key}={written(value)}"
