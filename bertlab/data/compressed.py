"""Files, plain or compressed: bytes out, and one clear error for whatever is wrong with the file."""

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from pathlib import Path

import pyarrow as pa

from bertlab.errors import InputError


def _open_plain(path: Path) -> BufferedIOBase:
    return path.open("rb")


def _open_zstd(path: Path) -> BufferedIOBase:
    # pyarrow's reader, as that of the package zstandard takes a file that is cut short for a complete one
    return BufferedReader(pa.input_stream(path, compression="zstd"))


OPENERS: dict[str, Callable[[Path], BufferedIOBase]] = {".gz": gzip.GzipFile, ".xz": lzma.LZMAFile, ".zst": _open_zstd}


@contextmanager
def decompressed(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file to read its bytes, decompressed as the suffix says (.gz, .xz, .zst, anything else: as it is)."""
    with file_errors(path), OPENERS.get(path.suffix, _open_plain)(path) as stream:
        yield stream


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system and the decoders raise about `path` into an InputError."""
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(
            f"data.files must be readable and complete, got {path} ({reason}); check its permissions and its suffix"
        ) from error
