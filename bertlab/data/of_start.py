"""`start=FOLDER` alone: model and tokenizer are then chosen from the folder.

Enters: the words of a command line, short forms written out. Leaves: these words, with words for the matching model.
Errors in the folder are found when its weights are read (`data/weights.py`, `model/start.py`), not here.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import asin
from pathlib import Path
from typing import Any

from bertlab.data.modern import KIND, words_of
from bertlab.data.weights import CONFIG, RUN, TOKENIZERS, WEIGHTS

FROM = "start.from="
KINDS = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "roformer", KIND)
OWN = ("model", "tokenizer", "regime")  # words that already choose a model
SIZES = {  # our key: their keys in BERT and DistilBERT, and BERT-base's value
    "model.layers": ("num_hidden_layers", "n_layers", 12),
    "model.width": ("hidden_size", "dim", 768),
    "model.heads": ("num_attention_heads", "n_heads", 12),
    "model.inner": ("intermediate_size", "hidden_dim", 3072),
}
PLAIN = re.compile(r"[\w./-]+")  # a path that Hydra reads without quotes
ANGLES = "roformer.encoder.embed_positions.weight"


def with_model(words: Sequence[str]) -> list[str]:
    """Return the words, with those of model and tokenizer if a start's folder is given without them.

    `data.files=` without a corpus means `data=text`; with `data.general=` it means `data=mixed`.
    """
    words = _with_text(words)
    named = [word.lstrip("+").removeprefix(FROM).strip("'\"") for word in words if word.lstrip("+").startswith(FROM)]
    if len(named) != 1 or named[0].startswith(RUN) or any(word.lstrip("+~").startswith(OWN) for word in words):
        return [*words]
    folder = Path(named[0]).expanduser()
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        return [*words, *_words(folder, config)] if config["model_type"] in KINDS else [*words]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [*words]


def _with_text(words: Sequence[str]) -> Sequence[str]:
    """Return the words, with the corpus for a start's text files."""
    starts, files = (any(word.lstrip("+").startswith(key) for word in words) for key in (FROM, "data.files="))
    named = any(word.lstrip("+~").startswith(("data=", "regime=")) for word in words)
    mixes = any(word.lstrip("+").startswith("data.general=") for word in words)
    return [*words, f"data={'mixed' if mixes else 'text'}"] if starts and files and not named else words


def _words(folder: Path, config: Mapping[str, Any]) -> Iterator[str]:
    kind = config["model_type"]
    if any((folder / name).is_file() for name in TOKENIZERS):
        path = str(folder)
        yield from ("tokenizer=file", f"tokenizer.path={path if PLAIN.fullmatch(path) else repr(path)}")
    if kind == KIND:
        yield from words_of(config)
        return
    yield "model=base"
    for ours, (bert, distilbert, usual) in SIZES.items():
        yield f"{ours}={int(config.get(bert, config.get(distilbert, usual)))}"
    types = 0 if kind == "distilbert" else int(config.get("type_vocab_size", 2))
    yield f"model.segment_types={max(types, 2)}"
    if types < 2:
        yield "model.embedding.segment=false"
    yield f"model.norm.eps={float(config.get('layer_norm_eps', 1e-12))}"
    yield f"model.tie_output={str(bool(config.get('tie_word_embeddings', True))).lower()}"
    if kind == "roformer":
        yield "model/position=rotary"
        yield f"model.position.base={base_of(folder / WEIGHTS)}"
    else:
        yield f"model.position.positions={int(config.get('max_position_embeddings', 512)) - _offset(kind, config)}"


def _offset(kind: str, config: Mapping[str, Any]) -> int:
    """Return the number of unused first rows in RoBERTa's position table."""
    return int(config.get("pad_token_id", 1)) + 1 if "roberta" in kind or kind == "camembert" else 0


def base_of(weights: Path) -> int:
    """Return the base of a RoFormer's angles, from those of position 1: base^(-2k/K) for k = 1."""
    from safetensors import safe_open

    with safe_open(weights, "numpy") as file:
        if ANGLES not in file.keys():  # noqa: SIM118  # not a mapping
            return 10_000
        sines_K = file.get_slice(ANGLES)[1:2][0]
    return round(asin(float(sines_K[1])) ** (-len(sines_K) / 2)) if len(sines_K) > 2 else 10_000
