"""Files that are whole or absent, whenever the process dies or the disk fills up."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertlab.config.errors import InputError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Lend a temporary name beside `path`; what stands there when the block ends well is moved to `path`, durably.

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
