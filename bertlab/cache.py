"""Cache entries on disk: a folder that is either whole or absent, made once however many processes ask for it.

An entry is built in a temporary folder beside its place and renamed when it is complete, under a file lock; a process
that dies while building leaves nothing that a later one could mistake for an entry.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from bertlab.errors import InputError


def cache_root() -> Path:
    """Return the cache folder: `BERTLAB_CACHE`, else `XDG_CACHE_HOME`/bertlab, else ~/.cache/bertlab."""
    if named := os.environ.get("BERTLAB_CACHE"):
        return Path(named).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertlab"


def digest(*parts: object) -> str:
    """Hash JSON-able parts into 16 hex characters (64 bits), the same on every machine."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cached(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of entry `kind`/`key`; when it is absent, call `build(folder)` to fill it.

    Raises InputError when the cache folder cannot be written. What `build` raises passes through and leaves no entry.
    """
    entry = cache_root() / kind / key
    try:
        if entry.is_dir():
            return entry
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{entry}.lock").acquire()
    except OSError as error:
        raise InputError(
            f"the cache folder must be writable, got {cache_root()} ({error.strerror}); set BERTLAB_CACHE to another"
        ) from error
    with lock:
        return entry if entry.is_dir() else _build(entry, build)


def _build(entry: Path, build: Callable[[Path], None]) -> Path:
    temporary = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        build(temporary)
        temporary.chmod(0o755)
        temporary.rename(entry)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return entry
