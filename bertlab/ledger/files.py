"""Files that are whole or absent, whenever the process dies or the disk fills up, and JSON files that hold a hash.

Enters: text, or a block that writes to a temporary name. Leaves: a file under its own name, on the disk. A sealed file
is JSON that holds its own SHA-256. It is accepted only where its bytes are those that would be written again for what
it says, so that one flipped bit is noticed.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertlab.config.errors import InputError

SEAL = "sha256"  # the last field of a sealed file: the hash of the JSON text of all others
DAMAGE = (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError)  # what a file may be read to


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Lend a temporary name next to `path`; when the block ends well, the file of that name is moved there, durably.

    Raises InputError for a disk that is full or a folder that cannot be written; nothing is left half-written.
    """
    temporary = path.with_name(f".{path.name}")
    try:
        with refusing(path):
            yield temporary
            _sync(temporary, os.O_RDWR)
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        with refusing(path):
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file. Raises InputError."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write `path` into an InputError."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"output_dir must be a folder with room that can be written, got {path} ({reason}); make room or choose "
            "another, then type the same command again"
        ) from error


def _sync_folder(path: Path) -> None:
    """Make a folder's list of files durable where the system can: Windows opens no folder, some shares sync none."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        _sync(path, os.O_RDONLY)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _sync(path: Path, how: int) -> None:
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sealed(fields: Mapping[str, Any]) -> str:
    """Return the JSON text of some fields and of their own hash."""
    own = hashlib.sha256(json.dumps(fields, indent=1).encode()).hexdigest()
    return json.dumps({**fields, SEAL: own}, indent=1) + "\n"


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return the fields of a sealed file; None where it is absent, damaged, not a plain file or never was sealed."""
    try:
        text = path.read_bytes().decode() if is_plain(path) else ""
        fields = json.loads(text)
        del fields[SEAL]
        return fields if sealed(fields) == text else None
    except DAMAGE:
        return None


def read_unsealed(path: Path) -> dict[str, Any]:
    """Return what a JSON file says that has no seal; nothing where it is absent, damaged or sealed."""
    try:
        fields = json.loads(path.read_bytes().decode()) if is_plain(path) else {}
        return {} if SEAL in fields else dict(fields)
    except DAMAGE:
        return {}


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON file says, sealed or not; nothing where it is absent or damaged."""
    return read_sealed(path) or read_unsealed(path)


def is_plain(path: Path) -> bool:
    """Tell whether a file is there and is neither a folder, a link nor a device."""
    return path.is_file() and not path.is_symlink()


def is_there(path: Path) -> bool:
    """Tell whether anything has this name, a link to nothing included."""
    return path.exists() or path.is_symlink()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
