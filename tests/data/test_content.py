"""A file is read only once while it does not change."""

import os
from pathlib import Path

import pytest

from bertlab.data import content
from bertlab.data.content import content_hash
from bertlab.data.text import Text


def settled(path: Path, text: str, seconds: int) -> None:
    path.write_text(text, "utf-8")
    os.utime(path, (seconds, seconds))


def test_a_file_is_read_again_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "a.txt", list[Path]()
    real = content._read

    def counted(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(content, "_read", counted)
    settled(path, "one", 1000)
    keys = {Text(str(path)).key() for _ in range(5)}
    assert (len(keys), len(read)) == (1, 1)
    settled(path, "two", 1000)  # of the same size, and said to be as old: a change of the file is a time of its own
    assert content_hash(path) == real(path)
    assert len(read) == 2


def test_a_file_that_was_written_just_now_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    seen = set()
    for text in ("one", "two", "six"):
        path.write_text(text, "utf-8")
        seen.add(content_hash(path))
    assert len(seen) == 3
