"""What a file holds, as a hash; read once by a process for as long as the file stays what it is."""

import hashlib
import time
from functools import lru_cache
from pathlib import Path

SETTLED = 2.0  # seconds without a change: two changes at once may leave the same time


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
