"""Start weights that are in no run's folder in the form that `start=run:ID` needs: they get a folder of their own.

    start=run:ID@TOKENS    intermediate weights that a run kept
    start=run:ID           weights of a run that are only in a store
    start=FOLDER           a ModernBERT of transformers, whose weights get our names

Enters: the words of a command line, or of a study's arms. Leaves: these words with the folder
`<output_dir>/starts/<cell>`, `<cell>@<tokens>` or `<name of their folder>-<hash>`. It has the layout of a run's folder
and contains what `bertlab/data/weights.py` reads. For a ModernBERT it also contains the configuration
(`bertlab/data/modern.py` compares runs with it). Runs are looked up in `output_dir`.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bertlab.config.cache import digest
from bertlab.config.errors import InputError
from bertlab.config.reading import written_out
from bertlab.data.modern import MARK, is_modern, settings_of
from bertlab.data.modern_weights import from_modern
from bertlab.data.weights import BESIDE, REFUSE, RUN, TOKENIZERS, WEIGHTS, Start, start_of
from bertlab.tracking.files import refusing
from bertlab.tracking.run_folder import CONFIG, KEPT, MODEL, START_STATE, STATES, RunFolder, run_folders_in

if TYPE_CHECKING:
    from torch import Tensor

FROM = re.compile(r"\+{0,2}start\.from=")
NAMED = re.compile(rf"{RUN}([^,\[\]{{}}'\"]+)")  # in a word, which may list several
FOLDER = re.compile(r"(?<=[=,\[{'\"])[^,\[\]{}'\"]+")  # likewise
STARTS = "starts"
MODERN_VERSION = "1"  # version of the conversion of their weights
SEGMENT_TYPES = 2  # as in conf/model/base.yaml; ModernBERT has no segments


def with_start_folders(words: Sequence[str]) -> list[str]:
    """Return the words, short forms expanded, with a folder for every run whose weights are not in its own folder.

    Raises InputError.
    """
    words = written_out(words)
    return start_folders(words, str(_value(words, "output_dir", "outputs")), _value(words, "tracking.uri", None))


def start_folders(words: Sequence[str], output_dir: str, uri: str | None) -> list[str]:
    """Do the same for given places: runs are looked up in a folder, missing weights in a store."""

    def folder(found: re.Match[str]) -> str:
        if Path(found[1]).expanduser().is_dir():
            return f"{RUN}{_folder(found[1], None, output_dir, uri)}"
        name, at, tokens = found[1].partition("@")
        return f"{RUN}{_folder(name, tokens if at else None, output_dir, uri)}"

    def by_our_names(found: re.Match[str]) -> str:
        if found[0].startswith(RUN) or not is_modern(Path(found[0]).expanduser()):
            return found[0]
        return f"{RUN}{modern_folder(found[0], Path(output_dir) / STARTS).absolute()}"

    return [FOLDER.sub(by_our_names, NAMED.sub(folder, word)) if FROM.match(word) else word for word in words]


def _value(words: Sequence[str], key: str, usual: str | None) -> str | None:
    values = [word.partition("=")[2].strip("'\"") for word in words if word.lstrip("+").startswith(f"{key}=")]
    return values[-1] if values else usual


def _folder(name: str, tokens: str | None, output_dir: str, uri: str | None) -> str:
    """Return the folder to start from; the unchanged name if the run has its weights or no run has that name."""
    run_folder = _cell(name, output_dir)
    there = run_folder is not None and (run_folder.folder / MODEL / WEIGHTS).is_file()
    if tokens is None and (run_folder is None or there or not run_folder.record()):
        waits = run_folder is not None and not run_folder.state().get("run_id") and not Path(name).expanduser().is_dir()
        return (
            run_folder.folder.name if run_folder is not None and waits else name
        )  # the error is raised when it is read
    if run_folder is None:
        raise InputError(
            f"start must name one run of {output_dir}, got {RUN}{name}, which none or several have; give its id, or "
            "its folder (outputs/cells/...)"
        )
    kept = None if tokens is None else _kept(run_folder, name, tokens)
    folder = Path(output_dir) / STARTS / "@".join([run_folder.folder.name, *([kept.stem] if kept else [])])
    if not folder.is_dir():
        _lay_out(folder, run_folder, kept, uri)
    return str(folder.absolute())  # jobs run elsewhere


def _cell(name: str, output_dir: str) -> RunFolder | None:
    """Return the folder of the run that a name means in `start=run:`."""
    if (folder := Path(name).expanduser()).is_dir():
        return RunFolder(folder)
    run_folders = run_folders_in(output_dir)
    found = [run_folder for run_folder in run_folders if name in (run_folder.folder.name, run_folder.key)]
    found = found or [run_folder for run_folder in run_folders if _run_of(run_folder).startswith(name)]
    return found[0] if len(found) == 1 else None


def _run_of(run_folder: RunFolder) -> str:
    """Return the id of a run in a store, or its local id if it is not uploaded yet."""
    state = run_folder.state()
    return str(state.get("run_id") or state.get("token") or "")


def _kept(run_folder: RunFolder, name: str, tokens: str) -> Path:
    """Return the file with the weights after some tokens. Raises InputError, listing the existing token counts."""
    counts = sorted(int(path.stem) for path in (run_folder.folder / KEPT).glob("[0-9]*.safetensors"))
    asked = tokens.replace("_", "")
    if not asked.isascii() or not asked.isdigit() or int(asked) not in counts:
        there = f"it kept {', '.join(map(str, counts))}; choose one of them" if counts else "it kept none on its way"
        raise InputError(
            f"start must name a count of tokens at which the run kept its weights, got {RUN}{name}@{tokens}; {there}, "
            "or train again with trainer.keep_at=[TOKENS]"
        )
    return run_folder.folder / KEPT / f"{int(asked)}.safetensors"


def _lay_out(folder: Path, run_folder: RunFolder, kept: Path | None, uri: str | None) -> None:
    """Write the folder completely or not at all. Raises InputError for damaged or missing files."""
    with refusing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        made = Path(place) / folder.name
        made.mkdir()
        if all((run_folder.folder / MODEL / name).is_file() for name in (WEIGHTS, TOKENIZERS[0])):
            if (broken := run_folder.broken()) is not None:
                raise InputError(
                    f"start must name a run whose files are those that it left, got {run_folder.folder.name}, whose "
                    f"{broken} is damaged; type the command of that run again, which makes it again"
                )
            shutil.copytree(run_folder.folder / MODEL, made / MODEL)
            shutil.copyfile(run_folder.folder / CONFIG, made / CONFIG)
        else:
            from bertlab.tracking.saved_model import connect, fetch

            fetch(connect(uri), str(run_folder.state().get("run_id")), made)
        if kept is not None:
            check_kept(kept)
            shutil.copyfile(kept, made / MODEL / WEIGHTS)
            if (state := kept.parent / STATES / kept.name).is_file():
                check_kept(state)
                shutil.copyfile(state, made / START_STATE)
        with refusing(folder):
            made.rename(folder)


def check_kept(path: Path) -> None:
    """Raise InputError for weights that changed since they were kept."""
    from safetensors import SafetensorError, safe_open

    from bertlab.tracking.checkpoint import content_hash

    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        whole = json.loads(about["about"]) and content_hash(tensors, about["about"]) == about["sha256"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        whole = False
    if not whole:
        raise InputError(
            f"start must name weights that are whole, got {path}, which is damaged; remove the run and type its "
            "command again"
        )


def modern_folder(theirs: str, starts: Path) -> Path:
    """Return the folder, written if it does not exist yet. Raises InputError for missing or damaged files."""
    start = start_of({"start": {"from": theirs, "missing": REFUSE}})
    assert start is not None
    folder = starts / f"{start.folder.resolve().name}-{digest(MODERN_VERSION, start.fingerprint)[:12]}"
    if start.tokenizer.name != TOKENIZERS[0]:
        raise InputError(
            f"start must be a folder with {TOKENIZERS[0]}, got {theirs} without it; save the fast tokenizer there with "
            "save_pretrained"
        )
    if not folder.is_dir():
        settings, weights = _read_modern(start)
        with refusing(folder):
            starts.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=starts) as place:
                _write_modern(Path(place) / folder.name, start, settings, weights)
                (Path(place) / folder.name).rename(folder)
    return folder


def _read_modern(start: Start) -> "tuple[dict[str, Any], dict[str, Tensor]]":
    """Return the values of our keys, and the weights under our names."""
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


def _write_modern(folder: Path, start: Start, settings: Mapping[str, Any], weights: "dict[str, Tensor]") -> None:
    from safetensors.torch import save_file

    (folder / MODEL).mkdir(parents=True)
    save_file(weights, folder / MODEL / WEIGHTS)
    model = {key.removeprefix("model."): value for key, value in settings.items() if key.count(".") == 1}
    (folder / CONFIG).write_text(yaml.safe_dump({"model": {**model, "segment_types": SEGMENT_TYPES}}), "utf-8")
    shutil.copyfile(start.config, folder / MARK)
    for path in (start.tokenizer.with_name(name) for name in (TOKENIZERS[0], *BESIDE)):
        if path.is_file():
            shutil.copyfile(path, folder / MODEL / path.name)
