"""The metrics of a run on disk: `metrics.jsonl`, one JSON line per step, written before the store gets the numbers.

Enters: a step and its numbers. Leaves: points, in the order of writing. A line reaches the operating system at once, so
it survives a crash of the process. It reaches the disk every few seconds and before every checkpoint, so a checkpoint
never contains points that a power cut removed.
"""

import hashlib
import json
import logging
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bertlab.tracking.files import refusing

log = logging.getLogger(__name__)

SYNC_SECONDS = 5.0


@dataclass(frozen=True)
class Point:
    """Numbers of one step, and the time of writing, in milliseconds since 1970."""

    step: int
    time: int
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Mark:
    """The beginning of a file: its length in bytes, and their SHA-256."""

    size: int
    sha256: str


class MetricsFile:
    """The file, open for appending. Numbers that it already contains are not appended again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points, size = read_points(path)
        self._known: dict[int, set[str]] = defaultdict(set)
        for point in self.points:
            self._known[point.step] |= point.numbers.keys()
        with refusing(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._file, size)  # drop an incomplete line, and everything after a damaged one
            os.lseek(self._file, size, os.SEEK_SET)
        self._size, self._synced = size, time.monotonic()
        self._hash = hashlib.sha256(path.read_bytes())

    def add(self, step: int, numbers: Mapping[str, float]) -> Point | None:
        """Append the numbers that are new, and return them. Raises InputError if the file cannot be written."""
        new = {name: float(value) for name, value in numbers.items() if name not in self._known[step]}
        if not new:
            return None
        latest = self.points[-1].time if self.points else 0
        point = Point(step, max(time.time_ns() // 1_000_000, latest), new)  # a clock may go backwards
        self._append(f"{json.dumps(asdict(point))}\n".encode())
        self.points.append(point)
        self._known[step] |= new.keys()
        return point

    def _append(self, line: bytes) -> None:
        with refusing(self.path):
            try:
                if os.write(self._file, line) < len(line):  # the disk is full
                    raise OSError(28, "no space left on device")
            except OSError:
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
                raise
            self._size += len(line)
            self._hash.update(line)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self.sync()

    def sync(self) -> Mark:
        """Sync everything to the disk, and return what is there."""
        with refusing(self.path):
            os.fsync(self._file)
        self._synced = time.monotonic()
        return Mark(self._size, self._hash.hexdigest())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_points(path: Path) -> tuple[list[Point], int]:
    """Return the points of a file before its first damaged line, and their size in bytes."""
    points, size = list[Point](), 0
    decode = json.JSONDecoder().decode  # json.loads would detect the encoding of every line
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            fields = decode(line.decode() if line.endswith(b"\n") else "")
            numbers = {name: float(value) for name, value in fields["numbers"].items()}
            points.append(Point(int(fields["step"]), int(fields["time"]), numbers))
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
            if number < len(lines):  # a kill during writing cuts the last one short
                log.warning("%s is damaged from line %s on; that part is measured again", path, number)
            break
        size += len(line)
    return points, size


def holds(path: Path, mark: Mark) -> bool:
    """Return whether a file begins with the marked bytes."""
    if not path.is_file():
        return mark.size == 0
    begin = path.read_bytes()[: mark.size]
    return Mark(len(begin), hashlib.sha256(begin).hexdigest()) == mark
