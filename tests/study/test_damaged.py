"""A damaged file of a report, any of them, gives one line."""

from pathlib import Path

import pytest

from bertlab.config.errors import InputError
from bertlab.report.answers.values import NUMBERS, read_facts
from bertlab.study.record import FILES, read_record

LINE = r"must hold the files of a report as they were written, got a damaged one .*; fetch them again, or type the"
CONTENTS = [b"", b"{", b"7", b"[1]", b"\xff", b"{}", b'"\n']


@pytest.mark.parametrize("content", CONTENTS)
def test_a_damaged_record_is_one_line(tmp_path: Path, content: bytes) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=LINE):
        read_record(tmp_path)


@pytest.mark.parametrize("content", CONTENTS[:5])
def test_damaged_facts_are_one_line(tmp_path: Path, content: bytes) -> None:
    assert read_facts(tmp_path) == {}
    (tmp_path / NUMBERS).parent.mkdir(exist_ok=True)
    (tmp_path / NUMBERS).write_bytes(content)
    with pytest.raises(InputError, match=LINE):
        read_facts(tmp_path)
