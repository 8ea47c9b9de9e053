"""Writes the files of a report into a folder, each completely or not at all."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bertlab.config.errors import InputError


def put(files: Mapping[str, bytes], folder: Path, gone: Iterable[str]) -> None:
    """Write the files in order, each renamed into place, and remove those of `gone` that are not among them.

    Raises InputError if the folder cannot be written.
    """
    try:
        for parent in {(folder / name).parent for name in files}:
            parent.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _replace(folder / name, content)
        for name in set(gone) - files.keys():
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"the report folder must be writable, got {folder} ({error.strerror}); name another"
        ) from error


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
