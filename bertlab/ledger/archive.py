"""An archive of finished cells: one file that goes with a report, so that no other machine repeats its runs.

Enters: cells. Leaves: a tar file, equal for equal cells; and from it, the cells again. Weights stay behind, as do the
names of the process, the machine and the store that a run was made on, and of the folders where its files lay there; a
cell is sealed as it is packed, and looked at when it is unpacked.

The file is a row of xz streams, as `cat` would put them together: one for all cells that were new at a time, and the
two empty blocks that end a tar file. So cells are added without a look at those that are there.
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
from bertlab.ledger.files import DAMAGE, refusing, sealed, whole
from bertlab.ledger.run_folder import CELLS, CONFIG, ORIGIN, POINTS, RECORD, SEALED, STATE, RunFolder, lasting_hash

log = logging.getLogger(__name__)

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a tenth of the time where PyYAML was built with it
ARCHIVE = "cells.tar.xz"  # its name, beside a report
PARTS = (STATE, CONFIG, POINTS, RECORD)  # the record is written last; later runs have an ORIGIN too
OWN = {"pid": 0, "host": "", "place": "", "parent": None, "run_id": None}  # what holds for one machine and store only
NAME = re.compile(r"[0-9A-Za-z]+(-[0-9A-Za-z]+){1,2}")  # of a cell
EMPTY = bytes(2 * tarfile.BLOCKSIZE)
END = lzma.compress(EMPTY)
Files = dict[str, bytes]  # by cell/part


def pack(cells: Collection[RunFolder], path: Path) -> None:
    """Make an archive hold the finished ones among some cells and no others; what it has of them is not packed again.

    Raises InputError where there is no room or no right to, or for a file that is no archive.
    """
    held, before = _held(path), path.read_bytes() if path.is_file() else b""
    tokens = {cell.folder.name: cell.state().get("token", "") for cell in cells}
    new = [cell for cell in cells if held.get(cell.folder.name) != tokens[cell.folder.name] and cell.record()]
    kept = bool(held) and held.items() <= tokens.items()
    if kept and not new:
        return
    if not (kept and before.endswith(END)):
        before, new = b"", [cell for cell in cells if cell.record()]
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary:
        temporary.write_bytes(before.removesuffix(END) + (lzma.compress(_tar(new)) if new else b"") + END)


def _tar(cells: Collection[RunFolder]) -> bytes:
    """Return the members of some cells, without the blocks that end a file."""
    content = io.BytesIO()
    archive = tarfile.open(fileobj=content, mode="w:")  # noqa: SIM115  # to close it would write those blocks
    for cell in sorted(cells, key=lambda cell: cell.folder.name):
        try:
            parts = parts_of(cell)
        except (*DAMAGE, yaml.YAMLError) as error:  # of before there were seals
            log.warning("%s is left out of the archive, its files are damaged: %s", cell.folder, type(error).__name__)
            continue
        for name, part in parts.items():
            member = tarfile.TarInfo(f"{cell.folder.name}/{name}")
            member.size = len(part)
            archive.addfile(member, io.BytesIO(part))
    return content.getvalue()


def parts_of(cell: RunFolder) -> Files:
    """Return the files of a cell as others may see them, sealed again where the cell was."""
    record = cell.record() or {}
    about = {**cell.state(), **OWN}
    if data := about.get("description", {}).get("data"):
        source = json.dumps(_without_folders(json.loads(data["source"])))
        about["description"] = {**about["description"], "data": {**data, "source": source}}
    config = (cell.folder / CONFIG).read_bytes()
    settings = LOADER(config.decode()).get_single_data()
    if (others := _for_others(settings)) != settings:
        config = yaml.safe_dump(others, sort_keys=False).encode()
    parts = {
        CONFIG: config,
        **{name: (cell.folder / name).read_bytes() for name in (ORIGIN, POINTS) if (cell.folder / name).is_file()},
    }
    parts[STATE] = sealed(about).encode()
    if "files" not in record:
        return {**parts, RECORD: (cell.folder / RECORD).read_bytes()}
    files = record["files"] | {name: sha256(parts[name]).hexdigest() for name in SEALED}
    return {**parts, RECORD: sealed({**record, "run": lasting_hash(about), "files": files}).encode()}


def _for_others(settings: Any) -> Any:
    """Return settings without folders, without secrets, and without `tracking`, which earlier versions kept."""
    found = redacted_settings(_without_folders(settings))
    return {name: value for name, value in found.items() if name != "tracking"}


def _without_folders(settings: Any) -> Any:
    """Return settings in which a path from the root or from home is its last name: no other machine has its folder."""
    if isinstance(settings, dict):
        return {name: _without_folders(value) for name, value in settings.items()}
    if isinstance(settings, list):
        return [_without_folders(value) for value in settings]
    return Path(settings).name if isinstance(settings, str) and settings.startswith(("/", "~")) else settings


def unpack(path: Path, output_dir: str | Path) -> int:
    """Bring the cells of an archive that are not finished there into an output_dir, and return how many.

    Raises InputError for a file that is no archive of cells.
    """
    files = _read(path)
    names = _names(files)
    for name in names:
        if not (NAME.fullmatch(name) and all(f"{name}/{part}" in files for part in PARTS)):
            raise InputError(f"an archive of finished runs must hold {', '.join(PARTS)} of each, not so {name}")
    restored = [cell for name in names if (cell := _restore(files, name, output_dir))]
    whole = [record for cell in restored if (record := cell.record())]
    if len(whole) < len(restored):
        log.warning("%s of %s runs in %s are damaged and left out", len(restored) - len(whole), len(names), path)
    if old := sum("files" not in record for record in whole):
        log.warning("%s runs of %s are older than seals: of each only points and weights are checked", old, path)
    return len(whole)


def archived_folders(path: Path, output_dir: str | Path) -> dict[str, RunFolder]:
    """Return where the cells of an archive lie once they are unpacked, by key. Raises InputError for another file."""
    cells = (RunFolder(Path(output_dir) / CELLS / name) for name in _held(path))
    return {cell.key: cell for cell in cells}


def _restore(files: Files, name: str, output_dir: str | Path) -> RunFolder | None:
    """Write the cell of that name, unless a finished one is there; one that is not what its record says is removed."""
    cell = RunFolder(Path(output_dir) / CELLS / name)
    with cell.held():
        if cell.record():
            return None
        cell.forget()
        for part in (ORIGIN, *PARTS):
            if (content := files.get(f"{name}/{part}")) is not None:
                with whole(cell.folder / part) as temporary:
                    temporary.write_bytes(content)
        if not cell.record():
            cell.forget()
        return cell


def _held(path: Path) -> dict[str, str]:
    """Return the names of the cells in an archive, and the tokens of their runs; none where there is no archive."""
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
