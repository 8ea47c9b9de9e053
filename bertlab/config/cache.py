"""Cache entries on disk. An entry is a folder that is complete or absent; only one process builds it.

An entry is built in a temporary folder next to its place, under a file lock, and renamed when it is complete. So a
process that dies while building leaves no partial entry. Checksums of the files are kept in the entry: a truncated or
changed entry is reported as damaged and built again.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from bertlab.config.errors import InputError

log = logging.getLogger(__name__)

CHECKSUMS = ".checksums.json"  # in an entry: the SHA-256 of each of its files
Signature = tuple[tuple[str, int, int], ...]  # name, size and time of change (ns) of each file
_intact: set[tuple[Path, Signature]] = set()  # verified by this process: a sweep hashes an entry once


def cache_root() -> Path:
    """Return the cache folder: `BERTLAB_CACHE`, else `XDG_CACHE_HOME`/bertlab, else ~/.cache/bertlab."""
    if named := os.environ.get("BERTLAB_CACHE"):
        return Path(named).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertlab"


def digest(*parts: object) -> str:
    """Hash JSON-compatible parts to 16 hex characters (64 bits), equal on every machine."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cached(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of entry `kind`/`key`; if it is absent or damaged, call `build(folder)` to fill it.

    Raises InputError if the cache folder cannot be written. Errors of `build` pass through and leave no entry.
    """
    entry = cache_root() / kind / key
    try:
        if entry.is_dir() and not damage(entry):
            return entry
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{entry}.lock").acquire()
    except OSError as error:
        raise InputError(
            f"the cache folder must be writable, got {cache_root()} ({error.strerror}); set BERTLAB_CACHE to another"
        ) from error
    with lock:
        if entry.is_dir():
            if not (damaged := damage(entry)):
                return entry
            log.warning("the cache entry %s is damaged (%s); it is made again", entry, damaged)
            _remove(entry)
        return _build(entry, build)


def damage(entry: Path) -> str | None:
    """Return what is wrong with an entry, or None: its files must be byte for byte the files that were written."""
    try:
        signature = tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(entry))
        if (entry, signature) in _intact:
            return None
        written = dict(json.loads((entry / CHECKSUMS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return f"its {CHECKSUMS} cannot be read"
    there = checksums(entry)
    if differing := sorted(name for name, _ in written.items() ^ there.items()):
        return f"{differing[0]} has changed since it was written"
    _intact.add((entry, signature))
    return None


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 (hex) of each file in a folder."""
    found = {}
    for path in _files(folder):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != CHECKSUMS)


def _remove(entry: Path) -> None:
    """Remove an entry at once; a process that has mapped its files can still read them."""
    away = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    entry.rename(away / entry.name)
    shutil.rmtree(away)


def _build(entry: Path, build: Callable[[Path], None]) -> Path:
    temporary = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        build(temporary)
        (temporary / CHECKSUMS).write_text(json.dumps(checksums(temporary)), "utf-8")
        temporary.chmod(0o755)
        temporary.rename(entry)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return entry
