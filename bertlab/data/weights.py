"""Initial weights of a run: `start=<folder>`, a Hugging Face folder, or `start=run:<id or run folder>`.

Finds and hashes the files before heavy packages are imported; `model/start.py` reads them. Weights are read only from
safetensors files: nothing is unpickled.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bertlab.config.building import section
from bertlab.config.cache import digest
from bertlab.config.errors import InputError, at, one_of
from bertlab.data.content import content_hash
from bertlab.tracking.run_folder import CONFIG as RUN_CONFIG
from bertlab.tracking.run_folder import MODEL
from bertlab.tracking.run_folder import RunFolder as Cell  # the local names count for the fingerprint of runs
from bertlab.tracking.run_folder import run_folders_in as cells_in

RUN = "run:"  # prefix of a run's id or folder
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
CONFIG, TOKENIZERS = "config.json", ("tokenizer.json", "vocab.txt")
BESIDE = ("tokenizer_config.json", "special_tokens_map.json")
REFUSE, INIT = "refuse", "init"
one_of_missing = partial(one_of, known=(REFUSE, INIT))


@dataclass(frozen=True)
class Start:
    """Existing weights: their folder, and the files that decide how a run uses them."""

    said: str  # as the user wrote it
    folder: Path
    weights: Sequence[Path]
    config: Path
    tokenizer: Path
    is_run: bool
    missing: str  # `refuse` or `init`: how to treat parts that the weights do not fit

    @property
    def fingerprint(self) -> str:
        """Hash of the files, independent of their folder."""
        beside = [path for name in BESIDE if (path := self.tokenizer.with_name(name)).is_file()]
        files = [*self.weights, self.config, self.tokenizer, *beside]
        return digest([(path.name, content_hash(path)) for path in files])


def start_of(config: Mapping[str, Any]) -> Start | None:
    """Return the start of a configuration; None for random weights. Raises InputError for missing files."""
    if "start" not in config:
        return None
    node = section(config, "start", "from", "missing")
    with at("start"):
        missing = one_of_missing("missing", node["missing"])
    said = node["from"]
    if said is None:
        return None
    if not isinstance(said, str) or not said:
        raise InputError(f"start.from must be a folder or run:<id>, got {said}; write start=FOLDER or start=run:ID")
    if said.startswith(RUN):
        return _of_run(said, str(config["output_dir"]), missing)
    return _of_folder(said, missing)


def _of_folder(said: str, missing: str) -> Start:
    folder = Path(said).expanduser()
    weights = _weights(folder)
    tokenizer = next((folder / name for name in TOKENIZERS if (folder / name).is_file()), None)
    lacking = [name for name, found in ((CONFIG, (folder / CONFIG).is_file()), (WEIGHTS, weights)) if not found]
    if lacking or tokenizer is None:
        wanted = lacking[0] if lacking else " or ".join(TOKENIZERS)
        raise InputError(
            f"start must be a folder with {CONFIG}, {WEIGHTS} and a tokenizer, got {said} without {wanted}; save model "
            "and fast tokenizer there with save_pretrained (pickled weights are never opened)"
        )
    return Start(said, folder, weights, folder / CONFIG, tokenizer, is_run=False, missing=missing)


def _weights(folder: Path) -> list[Path]:
    """Return the weight files in order; none if one is missing."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values()))
        paths = [folder / Path(name).name for name in names]  # in this folder, whatever the index says
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return paths if paths and all(path.is_file() for path in paths) else []


def _of_run(said: str, output_dir: str, missing: str) -> Start:
    name = said.removeprefix(RUN)
    folder = Path(name).expanduser()
    if name and not folder.is_dir():
        cells = cells_in(output_dir)
        found = [cell.folder for cell in cells if name in (cell.folder.name, cell.key)]
        found = found or [cell.folder for cell in cells if str(cell.state().get("run_id") or "").startswith(name)]
        if len(found) != 1:
            raise InputError(
                f"start must name one run of {output_dir}, got {said}, which {'several' if found else 'none'} has; "
                "give the folder of its cell (outputs/cells/...), or export the run and start from that folder"
            )
        folder = found[0]
    weights, tokenizer, config = folder / MODEL / WEIGHTS, folder / MODEL / TOKENIZERS[0], folder / RUN_CONFIG
    if not name or not all(path.is_file() for path in (weights, tokenizer, config)):
        raise InputError(
            f"start must name a run whose weights are in its cell, got {said} without {MODEL}/{WEIGHTS}; if a store "
            "has them: python -m bertlab.export run=ID to=FOLDER, then start=FOLDER start.missing=init"
        )
    if (broken := Cell(folder).broken()) is not None:
        raise InputError(
            f"start must name a run whose files are those that it left, got {said}, whose {broken} is damaged; "
            "type the command of that run again, which makes it again, or start from another"
        )
    return Start(said, folder, [weights], config, tokenizer, is_run=True, missing=missing)
