"""Hashes of file contents; a process hashes an unchanged file once."""

import hashlib
import time
from functools import lru_cache
from pathlib import Path

SETTLED = 2.0  # seconds without a change: two quick changes may have the same time stamp


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes. Raises OSError."""
    state = path.stat()
    if time.time() - state.st_mtime < SETTLED:
        return _read(path)
    return _known(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


@lru_cache(10_000)
def _known(path: Path, *_: int) -> str:
    return _read(path)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
