"""Building a store takes little memory per byte of text, for any text."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MOST = 40  # bytes of memory for each further byte of text
MEASURE = """
import contextlib, resource, sys
from bertlab.data.prepare import prepare
from bertlab.data.text import Text
from bertlab.config.errors import InputError
from bertlab.data.tokenizer.wordpiece import WordPiece

with contextlib.suppress(InputError):  # a text that is mostly [UNK] is refused when all of it was read
    prepare(Text(sys.argv[1]), WordPiece(vocab_size=300, lowercase=True))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
LONG = {
    "numbers in one line": ",".join(str(number * 7919 % 10_000) for number in range(10_000)) + ",",
    "short lines": "".join(f"{number % 7}\n" for number in range(10_000)),
    "commas": "," * 10_000,
    "letters without a space": "harbour" * 2_000,
}


def peak(folder: Path, text: str, size: int) -> int:
    """Return the bytes that a process needs to build a store of a text of that size and of usual ones."""
    usual = [f"The captain of ship {number} finds the old harbour. A sailor mends it." for number in range(500)]
    path = folder / f"{size}.txt"
    path.write_text("\n\n".join([*usual, (text * (size // len(text) + 1))[:size]]))
    environment = {**os.environ, "BERTLAB_CACHE": str(folder / f"cache{size}")}
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, path], env=environment, capture_output=True, text=True, check=True
    )
    return int(ended.stdout) * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.slow
@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_memory_grows_by_a_small_multiple_of_the_text(tmp_path: Path, text: str) -> None:
    two, four = (peak(tmp_path, text, size << 20) for size in (2, 4))
    assert four - two < MOST * (2 << 20)
