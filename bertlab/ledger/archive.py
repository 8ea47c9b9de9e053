"""An archive of finished cells: one file that goes with a report, so that no other machine repeats its runs.

Enters: cells. Leaves: a tar file, equal for equal cells; and from it, the cells again. Weights stay behind, as do the
names of the process, the machine and the store that a run was made on, and of the folders where its files lay there.
"""

import io
import json
import lzma
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from bertlab.errors import InputError
from bertlab.ledger.cell import CONFIG, POINTS, RECORD, STATE, Cell, cell_of
from bertlab.ledger.files import refusing, whole

ARCHIVE = "cells.tar.xz"  # its name, beside a report
PARTS = (CONFIG, POINTS, RECORD)  # beside STATE; the record is written last
OWN = {"pid": 0, "host": "", "place": "", "parent": None, "run_id": None}  # what holds for one machine and store only


def pack(cells: Collection[Cell], path: Path) -> None:
    """Write the finished ones among some cells. Raises InputError where there is no room or no right to."""
    with refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary, tarfile.open(temporary, "w:xz") as archive:
        for cell in sorted(cells, key=lambda cell: cell.folder.name):
            if cell.record():
                for name, content in _files(cell):
                    member = tarfile.TarInfo(f"{cell.folder.name}/{name}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


def _files(cell: Cell) -> Iterator[tuple[str, bytes]]:
    description = dict(cell.state().get("description", {}))
    if data := description.get("data"):
        description["data"] = {**data, "source": json.dumps(_without_folders(json.loads(data["source"])))}
    state = {**cell.state(), **OWN, "description": description}
    config = _without_folders(yaml.safe_load((cell.folder / CONFIG).read_text(encoding="utf-8")))
    yield STATE, (json.dumps(state, indent=1) + "\n").encode()
    yield CONFIG, yaml.safe_dump(config, sort_keys=False).encode()
    for name in (POINTS, RECORD):
        yield name, (cell.folder / name).read_bytes()


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
    return sum(_restore(files, name, output_dir) for name in _names(files))


def cells_in(path: Path, output_dir: str | Path) -> dict[str, Cell]:
    """Return where the cells of an archive lie once they are unpacked, by key. Raises InputError for another file."""
    named = (name.partition("-") for name in _names(_read(path)))
    return {key: cell_of(output_dir, key, code) for key, _, code in named}


def _read(path: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(path, "r:xz") as archive:
            found = {member.name: archive.extractfile(member) for member in archive.getmembers()}
            return {name: file.read() for name, file in found.items() if file}
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise InputError(
            f"{path} must be an archive of finished runs, got {error}; fetch it again or delete it"
        ) from error


def _names(files: dict[str, bytes]) -> list[str]:
    return sorted({name.partition("/")[0] for name in files})


def _restore(files: dict[str, bytes], name: str, output_dir: str | Path) -> bool:
    key, _, code = name.partition("-")
    cell = cell_of(output_dir, key, code)
    if not (key.isalnum() and code.isalnum() and all(f"{name}/{part}" in files for part in (STATE, *PARTS))):
        raise InputError(f"an archive of finished runs must hold {STATE} and {', '.join(PARTS)} of each, not so {name}")
    with cell.held():
        if cell.record():
            return False
        cell.forget()
        for part in (STATE, *PARTS):  # the record last: with it the cell is finished
            with whole(cell.folder / part) as temporary:
                temporary.write_bytes(files[f"{name}/{part}"])
        return True
