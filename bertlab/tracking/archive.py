"""An archive of finished runs: one file next to a report, so that no other machine repeats its runs.

Enters: folders of runs. Leaves: a tar file, equal for equal folders; and from it, the folders again. Not packed:
weights; names of the process, the machine and the store of a run; the folders of its input files. A run is sealed when
it is packed, and checked when it is unpacked.

The file is a sequence of xz streams, as `cat` would join them: one for all runs that were added at a time, and a last
one with the two empty blocks that end a tar file. So runs are added without reading the existing ones.
"""

import io
import json
import logging
import lzma
import re
import tarfile
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted_settings
from bertlab.tracking.files import DAMAGE, refusing, sealed, whole
from bertlab.tracking.run_folder import CELLS, CONFIG, ORIGIN, POINTS, RECORD, SEALED, STATE, RunFolder, lasting_hash

log = logging.getLogger(__name__)

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # takes a tenth of the time, if PyYAML was built with it
ARCHIVE = "cells.tar.xz"  # its name, next to a report
PARTS = (STATE, CONFIG, POINTS, RECORD)  # the record is written last; later runs have an ORIGIN too
OWN = {"pid": 0, "host": "", "place": "", "parent": None, "run_id": None}  # values of one machine and store only
NAME = re.compile(r"[0-9A-Za-z]+(-[0-9A-Za-z]+){1,2}")  # name of a run's folder
EMPTY = bytes(2 * tarfile.BLOCKSIZE)
END = lzma.compress(EMPTY)
Files = dict[str, bytes]  # by folder/part


def pack(run_folders: Collection[RunFolder], path: Path) -> None:
    """Make an archive contain the finished ones among some runs and no others; packs only runs that it lacks.

    Raises InputError for a full disk, missing permission, or a file that is no archive.
    """
    held, before = _held(path), path.read_bytes() if path.is_file() else b""
    tokens = {run_folder.folder.name: run_folder.state().get("token", "") for run_folder in run_folders}
    new = [
        run_folder
        for run_folder in run_folders
        if held.get(run_folder.folder.name) != tokens[run_folder.folder.name] and run_folder.record()
    ]
    kept = bool(held) and held.items() <= tokens.items()
    if kept and not new:
        return
    if not (kept and before.endswith(END)):
        before, new = b"", [run_folder for run_folder in run_folders if run_folder.record()]
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary:
        temporary.write_bytes(before.removesuffix(END) + (lzma.compress(_tar(new)) if new else b"") + END)


def _tar(run_folders: Collection[RunFolder]) -> bytes:
    """Return the tar members of some runs, without the blocks that end a file."""
    content = io.BytesIO()
    archive = tarfile.open(fileobj=content, mode="w:")  # noqa: SIM115  # closing it would write those blocks
    for run_folder in sorted(run_folders, key=lambda run_folder: run_folder.folder.name):
        try:
            parts = parts_of(run_folder)
        except (*DAMAGE, yaml.YAMLError) as error:  # runs from before there were seals
            log.warning(
                "%s is left out of the archive, its files are damaged: %s", run_folder.folder, type(error).__name__
            )
            continue
        for name, part in parts.items():
            member = tarfile.TarInfo(f"{run_folder.folder.name}/{name}")
            member.size = len(part)
            archive.addfile(member, io.BytesIO(part))
    return content.getvalue()


def parts_of(run_folder: RunFolder) -> Files:
    """Return the files of a run for publication, sealed again if they were sealed."""
    record = run_folder.record() or {}
    about = {**run_folder.state(), **OWN}
    if data := about.get("description", {}).get("data"):
        source = json.dumps(_without_folders(json.loads(data["source"])))
        about["description"] = {**about["description"], "data": {**data, "source": source}}
    config = (run_folder.folder / CONFIG).read_bytes()
    settings = LOADER(config.decode()).get_single_data()
    if (others := _for_others(settings)) != settings:
        config = yaml.safe_dump(others, sort_keys=False).encode()
    parts = {
        CONFIG: config,
        **{
            name: (run_folder.folder / name).read_bytes()
            for name in (ORIGIN, POINTS)
            if (run_folder.folder / name).is_file()
        },
    }
    parts[STATE] = sealed(about).encode()
    if "files" not in record:
        return {**parts, RECORD: (run_folder.folder / RECORD).read_bytes()}
    files = record["files"] | {name: sha256(parts[name]).hexdigest() for name in SEALED}
    return {**parts, RECORD: sealed({**record, "run": lasting_hash(about), "files": files}).encode()}


def _for_others(settings: Any) -> Any:
    """Return settings without folders, secrets, and `tracking`, which earlier versions kept."""
    found = redacted_settings(_without_folders(settings))
    return {name: value for name, value in found.items() if name != "tracking"}


def _without_folders(settings: Any) -> Any:
    """Return settings with absolute paths and paths from home cut to the last name: the folder is local."""
    if isinstance(settings, dict):
        return {name: _without_folders(value) for name, value in settings.items()}
    if isinstance(settings, list):
        return [_without_folders(value) for value in settings]
    return Path(settings).name if isinstance(settings, str) and settings.startswith(("/", "~")) else settings


def unpack(path: Path, output_dir: str | Path) -> int:
    """Unpack the runs of an archive that are not finished in an output_dir, and return how many.

    Raises InputError for a file that is no archive of runs.
    """
    files = _read(path)
    names = _names(files)
    for name in names:
        if not (NAME.fullmatch(name) and all(f"{name}/{part}" in files for part in PARTS)):
            raise InputError(f"an archive of finished runs must hold {', '.join(PARTS)} of each, not so {name}")
    restored = [run_folder for name in names if (run_folder := _restore(files, name, output_dir))]
    whole = [record for run_folder in restored if (record := run_folder.record())]
    if len(whole) < len(restored):
        log.warning("%s of %s runs in %s are damaged and left out", len(restored) - len(whole), len(names), path)
    if old := sum("files" not in record for record in whole):
        log.warning("%s runs of %s are older than seals: of each only points and weights are checked", old, path)
    return len(whole)


def archived_folders(path: Path, output_dir: str | Path) -> dict[str, RunFolder]:
    """Return the folders of an archive's runs after unpacking, by key. Raises InputError for another file."""
    run_folders = (RunFolder(Path(output_dir) / CELLS / name) for name in _held(path))
    return {run_folder.key: run_folder for run_folder in run_folders}


def _restore(files: Files, name: str, output_dir: str | Path) -> RunFolder | None:
    """Write the folder of that name, unless it has a finished run; a folder that does not fit its record is removed."""
    run_folder = RunFolder(Path(output_dir) / CELLS / name)
    with run_folder.held():
        if run_folder.record():
            return None
        run_folder.forget()
        for part in (ORIGIN, *PARTS):
            if (content := files.get(f"{name}/{part}")) is not None:
                with whole(run_folder.folder / part) as temporary:
                    temporary.write_bytes(content)
        if not run_folder.record():
            run_folder.forget()
        return run_folder


def _held(path: Path) -> dict[str, str]:
    """Return the names of the folders in an archive, and the tokens of their runs; empty if there is no archive."""
    if not path.is_file():
        return {}
    files = _read(path)
    found = {}
    for name in _names(files):
        try:
            found[name] = str(json.loads(files[f"{name}/{STATE}"])["token"])
        except DAMAGE:
            found[name] = ""
    return found


def _read(path: Path) -> Files:
    try:
        streams = list(_streams(path.read_bytes()))
        if not streams[-1].endswith(EMPTY):
            raise EOFError("a file that was cut short")
        return {name: part for stream in streams for name, part in _members(stream)}
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, IndexError) as error:
        raise InputError(
            f"{path} must be an archive of finished runs, got {error}; fetch it again or delete it"
        ) from error


def _streams(rest: bytes) -> Iterator[bytes]:
    while rest:
        decompressor = lzma.LZMADecompressor()
        yield decompressor.decompress(rest)
        if not decompressor.eof:
            raise EOFError("a file that was cut short")
        rest = decompressor.unused_data


def _members(stream: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(stream), mode="r:") as archive:
        for member in archive:
            if file := archive.extractfile(member):
                yield member.name, file.read()


def _names(files: Files) -> list[str]:
    return sorted({name.partition("/")[0] for name in files})
