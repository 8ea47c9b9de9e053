"""Seals: JSON files that hold their own SHA-256, and the hashes of files beside them. One flipped bit is noticed.

A sealed file is accepted only where its bytes are those that would be written again for what it says.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "sha256"  # the last field of a sealed file: the hash of the JSON text of all others
DAMAGE = (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError)  # what a file may be read to


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
