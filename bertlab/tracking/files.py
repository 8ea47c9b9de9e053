"""Files that are complete or absent, even if the process dies or the disk fills up, and JSON files with a hash.

Enters: text, or a block that writes to a temporary name. Leaves: a file under its own name, on the disk. A sealed file
is JSON that contains its own SHA-256. It is accepted only if writing its content again would give the same bytes, so
that even one changed bit is noticed.
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
DAMAGE = (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError)  # errors from reading a damaged file


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name next to `path`; if the block succeeds, its file is moved there and synced.

    Raises InputError for a full disk or a folder without write permission; nothing is left half-written.
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
    """Turn the operating system's errors from writing `path` into an InputError."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"output_dir must be a folder with room that can be written, got {path} ({reason}); make room or choose "
            "another, then type the same command again"
        ) from error


def _sync_folder(path: Path) -> None:
    """Sync a folder's list of files, if possible: Windows cannot open a folder, some network shares cannot sync it."""
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
    """Return the JSON text of some fields and their hash."""
    own = hashlib.sha256(json.dumps(fields, indent=1).encode()).hexdigest()
    return json.dumps({**fields, SEAL: own}, indent=1) + "\n"


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return the fields of a sealed file; None if it is absent, damaged, not a plain file or was never sealed."""
    try:
        text = path.read_bytes().decode() if is_plain(path) else ""
        fields = json.loads(text)
        del fields[SEAL]
        return fields if sealed(fields) == text else None
    except DAMAGE:
        return None


def read_unsealed(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file without seal; empty if it is absent, damaged or sealed."""
    try:
        fields = json.loads(path.read_bytes().decode()) if is_plain(path) else {}
        return {} if SEAL in fields else dict(fields)
    except DAMAGE:
        return {}


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file, sealed or not; empty if it is absent or damaged."""
    return read_sealed(path) or read_unsealed(path)


def is_plain(path: Path) -> bool:
    """Return whether a file exists and is not a folder, a link or a device."""
    return path.is_file() and not path.is_symlink()


def is_there(path: Path) -> bool:
    """Return whether anything has this name, even a broken link."""
    return path.exists() or path.is_symlink()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
