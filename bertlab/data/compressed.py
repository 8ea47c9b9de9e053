"""Files, plain or compressed: bytes out, and one clear error for whatever is wrong with the file.

A small file can be made to unpack into more than a disk holds. What comes out is therefore limited to `EXPANSION` times
what goes in; prose shrinks to a quarter, lines that repeat their words to a fiftieth, and nothing is said about less
than `HARMLESS` bytes.
"""

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertlab.config.errors import InputError, own

EXPANSION = 200  # times the size of the compressed file
HARMLESS = 64 << 20  # bytes


def _open_plain(path: Path) -> BufferedIOBase:
    return path.open("rb")


def _open_zstd(path: Path) -> BufferedIOBase:
    # pyarrow's reader, as that of the package zstandard takes a file that is cut short for a complete one
    return BufferedReader(pa.input_stream(path, compression="zstd"))


OPENERS: dict[str, Callable[[Path], BufferedIOBase]] = {".gz": gzip.GzipFile, ".xz": lzma.LZMAFile, ".zst": _open_zstd}


class _Limited(RawIOBase):
    """What a stream yields, up to the limit of the file that it unpacks; more raises InputError."""

    def __init__(self, stream: BufferedIOBase, path: Path) -> None:
        self._stream, self._path = stream, path
        self._left = max(HARMLESS, EXPANSION * path.stat().st_size)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is more."""
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise InputError(
                f"{own('files', 'data')} must not unpack to more than {EXPANSION} times their size, got {self._path}; "
                "unpack it yourself if that is what you mean"
            )
        return count


@contextmanager
def decompressed(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file to read its bytes, decompressed as the suffix says (.gz, .xz, .zst, anything else: as it is).

    Raises InputError for a file that cannot be read, and for one that unpacks beyond the limit.
    """
    with file_errors(path), OPENERS.get(path.suffix, _open_plain)(path) as stream:
        yield BufferedReader(_Limited(stream, path)) if path.suffix in OPENERS else stream


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system and the decoders raise about `path` into an InputError."""
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(
            f"{own('files', 'data')} must be readable and complete, got {path} ({reason}); check its "
            "permissions and its suffix"
        ) from error
