"""The file of metrics has every point once, even if the process died at any moment."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.errors import InputError
from bertlab.tracking.metrics import MetricsFile, Point, holds, read_points


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def written(path: Path, *steps: int) -> MetricsFile:
    points = MetricsFile(path)
    for step in steps:
        points.add(step, {"loss": 1 / step, "tokens": 7.0 * step})
    return points


def test_points_come_back_bit_by_bit(path: Path) -> None:
    written(path, 3, 7).close()
    found, size = read_points(path)
    assert [(point.step, dict(point.numbers)) for point in found] == [
        (3, {"loss": 1 / 3, "tokens": 21.0}),
        (7, {"loss": 1 / 7, "tokens": 49.0}),
    ]
    assert size == path.stat().st_size


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_line_that_was_cut_short_is_written_again(path: Path, cut: int) -> None:
    written(path, 1, 2).close()
    path.write_bytes(path.read_bytes()[:-cut])
    again = MetricsFile(path)
    assert [point.step for point in again.points] == [1]
    assert again.add(1, {"loss": 5.0}) is None
    again.add(2, {"loss": 0.5})
    assert [point.step for point in read_points(path)[0]] == [1, 2]


def test_what_is_there_is_not_written_again_number_by_number(path: Path) -> None:
    written(path, 1).close()
    again = MetricsFile(path)
    new = again.add(1, {"loss": 9.0, "accuracy": 0.5})
    assert new is not None
    assert new.numbers == {"accuracy": 0.5}


def test_lines_after_a_damaged_one_are_dropped_with_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(path, 1, 2, 3).close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\x00" * 9 + b"\n" + lines[2])
    assert [point.step for point in MetricsFile(path).points] == [1]
    assert "is damaged from line 2 on" in caplog.text


@pytest.mark.parametrize("line", [b"{}\n", b'{"step": 1} more\n', b"\xff\n", b"\n", b"7\n"])
def test_a_line_that_is_no_point_is_damaged(path: Path, line: bytes) -> None:
    written(path, 1).close()
    whole = path.read_bytes()
    path.write_bytes(whole + line)
    assert read_points(path) == (MetricsFile(path).points, len(whole))


def test_a_clock_that_goes_backwards_does_no_harm(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = written(path, 1)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    late = points.add(2, {"loss": 1.0})
    assert late is not None
    assert late.time >= points.points[0].time > 0


def test_a_mark_shows_whether_the_beginning_of_the_file_is_unchanged(path: Path) -> None:
    points = written(path, 1, 2)
    mark = points.sync()
    points.add(3, {"loss": 0.1})
    assert holds(path, mark)
    path.write_bytes(path.read_bytes().replace(b"14.0", b"15.0"))
    assert not holds(path, mark)
    path.unlink()
    assert not holds(path, mark)


@pytest.mark.parametrize("written_bytes", [0, 5])
def test_a_full_disk_is_one_line_and_leaves_no_half_point(
    path: Path, monkeypatch: pytest.MonkeyPatch, written_bytes: int
) -> None:
    points, write = written(path, 1), os.write

    def full(file: int, line: bytes) -> int:
        if not written_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, line[:written_bytes])

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(InputError, match=r"^output_dir must be a folder with room .* \(no space left on device\)"):
            points.add(2, {"loss": 1.0})
    assert path.read_bytes() == before
    assert points.add(2, {"loss": 1.0}) is not None
    assert [point.step for point in read_points(path)[0]] == [1, 2]


def test_a_file_that_is_not_there_has_no_points(path: Path) -> None:
    nothing: tuple[list[Point], int] = ([], 0)
    assert read_points(path) == nothing
    assert holds(path, MetricsFile(path).sync())


def test_numbers_may_be_those_of_numpy(path: Path) -> None:
    import numpy as np

    number: Any = np.float64(0.1)
    MetricsFile(path).add(1, {"loss": number})
    assert read_points(path)[0][0].numbers == {"loss": 0.1}
