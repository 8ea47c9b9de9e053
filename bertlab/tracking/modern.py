"""A ModernBERT of transformers in a folder with its weights by our names, from which a run starts as from another run.

Enters: their folder. Leaves: `<output_dir>/starts/<folder>-<hash>`, laid out as the cell of a run
(`bertlab/data/weights.py` reads it), with their configuration beside it (`bertlab/data/modern.py` holds runs to it).
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bertlab.config.cache import digest
from bertlab.config.errors import InputError
from bertlab.data.modern import MARK, settings_of
from bertlab.data.modern_weights import from_modern
from bertlab.data.weights import BESIDE, REFUSE, TOKENIZERS, WEIGHTS, Start, start_of
from bertlab.ledger.files import refusing
from bertlab.ledger.run_folder import CONFIG, MODEL

if TYPE_CHECKING:
    from torch import Tensor

VERSION = "1"  # of what is made of their weights
SEGMENT_TYPES = 2  # as conf/model/base.yaml has it; there are no segments


def laid_out(theirs: str, starts: Path) -> Path:
    """Return the folder, written where it is not there yet. Raises InputError for files that are missing or damaged."""
    start = start_of({"start": {"from": theirs, "missing": REFUSE}})
    assert start is not None
    folder = starts / f"{start.folder.resolve().name}-{digest(VERSION, start.fingerprint)[:12]}"
    if start.tokenizer.name != TOKENIZERS[0]:
        raise InputError(
            f"start must be a folder with {TOKENIZERS[0]}, got {theirs} without it; save the fast tokenizer there with "
            "save_pretrained"
        )
    if not folder.is_dir():
        settings, weights = _read(start)
        with refusing(folder):
            starts.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=starts) as place:
                _write(Path(place) / folder.name, start, settings, weights)
                (Path(place) / folder.name).rename(folder)
    return folder


def _read(start: Start) -> "tuple[dict[str, Any], dict[str, Tensor]]":
    """Return the values of our keys, and the weights by our names."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads(start.config.read_text("utf-8"))
        theirs = {name: value for path in start.weights for name, value in load_file(path).items()}
        return settings_of(config), from_modern(config, theirs)
    except InputError:
        raise
    except (ValueError, SafetensorError, KeyError, TypeError, AttributeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"start must hold whole files, got {start.said} ({reason}); save the model again") from error


def _write(folder: Path, start: Start, settings: Mapping[str, Any], weights: "dict[str, Tensor]") -> None:
    from safetensors.torch import save_file

    (folder / MODEL).mkdir(parents=True)
    save_file(weights, folder / MODEL / WEIGHTS)
    model = {key.removeprefix("model."): value for key, value in settings.items() if key.count(".") == 1}
    (folder / CONFIG).write_text(yaml.safe_dump({"model": {**model, "segment_types": SEGMENT_TYPES}}), "utf-8")
    shutil.copyfile(start.config, folder / MARK)
    for path in (start.tokenizer.with_name(name) for name in (TOKENIZERS[0], *BESIDE)):
        if path.is_file():
            shutil.copyfile(path, folder / MODEL / path.name)
