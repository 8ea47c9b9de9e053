"""Opens plain or compressed files; every problem with a file becomes one clear error.

A small file can unpack to more than a disk holds. So the output is limited to `EXPANSION` times the input: prose
compresses to a quarter, lines of repeated words to a fiftieth. Output below `HARMLESS` bytes is always allowed.
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
    # use pyarrow's reader: that of the package zstandard accepts a truncated file as complete
    return BufferedReader(pa.input_stream(path, compression="zstd"))


OPENERS: dict[str, Callable[[Path], BufferedIOBase]] = {".gz": gzip.GzipFile, ".xz": lzma.LZMAFile, ".zst": _open_zstd}


class _Limited(RawIOBase):
    """A stream with the size limit of the file that it unpacks; more raises InputError."""

    def __init__(self, stream: BufferedIOBase, path: Path) -> None:
        self._stream, self._path = stream, path
        self._left = max(HARMLESS, EXPANSION * path.stat().st_size)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes."""
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
    """Open a file and decompress it according to its suffix (.gz, .xz, .zst; others are read unchanged).

    Raises InputError for a file that cannot be read, and for one that unpacks beyond the limit.
    """
    with file_errors(path), OPENERS.get(path.suffix, _open_plain)(path) as stream:
        yield BufferedReader(_Limited(stream, path)) if path.suffix in OPENERS else stream


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Convert errors of the operating system and of decoders about `path` to InputError."""
    try:
        yield
    except (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(
            f"{own('files', 'data')} must be readable and complete, got {path} ({reason}); check its "
            "permissions and its suffix"
        ) from error
