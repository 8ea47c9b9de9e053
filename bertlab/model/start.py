"""Starts a run from another model's weights, part by part, under our names and in the order of our vocabulary.

A weight is used if name and shape are equal. Vocabulary rows go to tokens of the same name; rows of special tokens go
to tokens of the same role. Weights that do not fit are refused by name, or initialised (`start.missing`).

Legend: V our vocabulary.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from bertlab.config.errors import InputError
from bertlab.data.tokenizer import SPECIALS
from bertlab.data.tokenizer.file import FromFile
from bertlab.data.weights import INIT, Start
from bertlab.model.bert import Bert
from bertlab.model.expressible import check_expressible
from bertlab.model.foreign import Foreign, read_foreign
from bertlab.model.norm import LayerNorm
from bertlab.model.position import Rotary
from bertlab.model.roformer import angles

log = logging.getLogger(__name__)

OF_TOKENS = ("embedding.token.weight", "mlm_head.bias", "decoder.weight")  # one row per token
OF_POSITIONS = "position.table.weight"  # the rows of a shorter table are the first rows of a longer one
SHOWN = 6  # most names in an error


@torch.no_grad()
def load_start(model: Bert, start: Start, tokenizer: Tokenizer) -> None:
    """Copy the weights that fit into an initialised model. Raises InputError for weights that do not fit."""
    foreign = _read(start)
    fitting = start.missing != INIT
    if fitting:
        check_settings(model, foreign.settings)
        if not start.is_run:
            _check_parts(model, start, rotary=foreign.angles is not None)
    if foreign.angles is not None and isinstance(model.position, Rotary):
        _check_angles(model.position, start, foreign.angles)
    rows_V = rows_of(tokenizer, start)
    if fitting and (absent := [tokenizer.id_to_token(number) for number, row in enumerate(rows_V) if row is None]):
        raise InputError(
            f"tokenizer must have the tokens of start, got {len(absent)} of {len(rows_V)} without a vector there, as "
            f"{absent[0]}; choose tokenizer=file tokenizer.path={start.tokenizer.parent}, or start.missing=init"
        )
    new, left = _copy(model, foreign.weights, rows_V, start)
    if fitting and (new or left):
        raise InputError(
            f"start must fit the model, got {_misfits(new, left)}; choose other options of model, or start.missing=init"
        )
    log.info("start=%s: weights taken; %s", start.said, _misfits(new, left) if new or left else "all of them fit")


def _read(start: Start) -> Foreign:
    """Return the start's weights by our names. Raises InputError for damaged files."""
    try:
        weights = {name: value for path in start.weights for name, value in load_file(path).items()}
        if start.is_run:
            return Foreign(weights, _settings_of_run(yaml.safe_load(start.config.read_text("utf-8"))))
        return read_foreign(json.loads(start.config.read_text("utf-8")), weights)
    except InputError:
        raise
    except (ValueError, SafetensorError, yaml.YAMLError, KeyError, TypeError, AttributeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"start must hold whole files, got {start.said} ({reason}); save the model again") from error


def _settings_of_run(config: Mapping[str, Any]) -> dict[str, Any]:
    model = config["model"]
    return {f"model.{key}": model[key] for key in ("layers", "width", "heads", "inner", "segment_types", "tie_output")}


def check_settings(model: Bert, settings: Mapping[str, Any]) -> None:
    """Raise InputError for a model of other sizes, with the words that set the right ones."""
    shape, norm = model.shape, model.embedding.norm
    own = {
        "model.layers": shape.layers,
        "model.width": shape.width,
        "model.heads": shape.heads,
        "model.inner": shape.inner,
        "model.segment_types": shape.segment_types,
        "model.tie_output": shape.tie_output,
        "model.norm.eps": norm.eps if isinstance(norm, LayerNorm) else None,
        "model.embedding.segment": model.embedding.segment is not None,
    }
    if other := {key: value for key, value in settings.items() if own[key] != value}:
        wanted = " ".join(f"{key}={str(value).lower()}" for key, value in other.items())
        raise InputError(
            f"model must have the sizes of start, got {', '.join(f'{key} {own[key]}' for key in other)}; add {wanted}"
        )


def _check_parts(model: Bert, start: Start, *, rotary: bool) -> None:
    try:
        check_expressible(model, rotary=rotary)
    except InputError as error:
        part = str(error).partition(" cannot")[0]
        choice = str(error).rpartition("train with ")[2].partition(" to export")[0]
        raise InputError(
            f"{part} differs from the training of the weights of start={start.said}; choose {choice}, or "
            "start.missing=init to take what fits"
        ) from error


def _check_angles(position: Rotary, start: Start, turned_NK: Tensor) -> None:
    """Raise InputError for rotary angles that differ from those of the start."""
    own_NK = angles(position)
    both = min(len(own_NK), len(turned_NK))
    if own_NK.shape[1] != turned_NK.shape[1] or not torch.allclose(own_NK[:both], turned_NK[:both], atol=1e-4):
        raise InputError(
            f"model.position.base must be that of start={start.said}, got another; choose 10000, RoFormer's own, or "
            "that of the run which was exported"
        )


def rows_of(tokenizer: Tokenizer, start: Start) -> list[int | None]:
    """Return for each of our tokens (V,) its row in the weights of the start; None for a new token."""
    source = FromFile(path=str(start.tokenizer), lowercase=None)
    given = source.original().get_vocab(with_added_tokens=True)
    roles = [str(source.read().id_to_token(number)) for number in range(len(SPECIALS))]
    own = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(own, key=own.__getitem__)
    return [given.get(token) for token in (*roles, *tokens[len(SPECIALS) :])]


def _copy(
    model: Bert, weights: Mapping[str, Tensor], rows_V: Sequence[int | None], start: Start
) -> tuple[list[str], list[str]]:
    """Copy what fits; return our names without a source and their names without a target."""
    kept = model.state_dict().keys()
    own = {**dict(model.named_parameters()), **{name: each for name, each in model.named_buffers() if name in kept}}
    taken, new = set(), []
    for name, target in own.items():
        if name not in weights:
            new.append(name)
            continue
        source = weights[name]
        if name in OF_TOKENS and source.shape[1:] == target.shape[1:]:
            _copy_rows(target, source, rows_V)
        elif name == OF_POSITIONS and len(source) >= len(target) and source.shape[1:] == target.shape[1:]:
            target.copy_(source[: len(target)])
        elif source.shape == target.shape:
            target.copy_(source)
        else:
            new.append(name)
            continue
        taken.add(name)
    if not taken:
        raise InputError(
            f"start must have weights for the model, got none that fit in {start.said}; choose another one"
        )
    return new, sorted(weights.keys() - taken)


def _copy_rows(target: Tensor, source: Tensor, rows_V: Sequence[int | None]) -> None:
    """Copy the rows of common tokens. Raises InputError for a tokenizer with more tokens than rows."""
    here = [number for number, row in enumerate(rows_V) if row is not None]
    there = [row for row in rows_V if row is not None]
    if there and max(there) >= len(source):
        raise InputError(
            f"start must hold a tokenizer that fits its {len(source)} embeddings, got token number {max(there)}; take "
            "model and tokenizer from one checkpoint"
        )
    target[here] = source[there].to(target.dtype)


def _misfits(new: Iterable[str], left: Iterable[str]) -> str:
    """Describe which parts are initialised and which weights are not used."""
    said = {"no weights for": _parts(new), "no place in the model for": _parts(left)}
    return " and ".join(f"{words} {', '.join(names)}" for words, names in said.items() if names)


def _parts(names: Iterable[str]) -> list[str]:
    """Return the parts that weights belong to, each once, only the first few."""
    parts = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    return parts if len(parts) <= SHOWN else [*parts[:SHOWN], f"{len(parts) - SHOWN} more"]
