"""The metrics of a run on disk: `metrics.jsonl`, one JSON line a step, written before the store gets the numbers.

Enters: a step and its numbers. Leaves: points, in the order in which they were written. A line reaches the operating
system at once, so it survives the process, and the disk every few seconds and before every checkpoint, so that a
checkpoint never knows points that a power cut took.
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

from bertlab.ledger.files import refusing

log = logging.getLogger(__name__)

SYNC_SECONDS = 5.0


@dataclass(frozen=True)
class Point:
    """Numbers of one step, and when they were written, in milliseconds since 1970."""

    step: int
    time: int
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Mark:
    """The beginning of a file: how many bytes, and their SHA-256."""

    size: int
    sha256: str


class MetricsFile:
    """The file, open for appending. What it holds already, number by number, is not appended again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points, size = read_points(path)
        self._known: dict[int, set[str]] = defaultdict(set)
        for point in self.points:
            self._known[point.step] |= point.numbers.keys()
        with refusing(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._file, size)  # a line that was cut short, and what follows a damaged one
            os.lseek(self._file, size, os.SEEK_SET)
        self._size, self._synced = size, time.monotonic()
        self._hash = hashlib.sha256(path.read_bytes())

    def add(self, step: int, numbers: Mapping[str, float]) -> Point | None:
        """Append what the file does not hold yet, and return it. Raises InputError where it cannot be written."""
        new = {name: float(value) for name, value in numbers.items() if name not in self._known[step]}
        if not new:
            return None
        latest = self.points[-1].time if self.points else 0
        point = Point(step, max(time.time_ns() // 1_000_000, latest), new)  # clocks may go backwards
        self._append(f"{json.dumps(asdict(point))}\n".encode())
        self.points.append(point)
        self._known[step] |= new.keys()
        return point

    def _append(self, line: bytes) -> None:
        with refusing(self.path):
            try:
                if os.write(self._file, line) < len(line):  # the disk is full now
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
        """Bring everything to the disk, and return what is there."""
        with refusing(self.path):
            os.fsync(self._file)
        self._synced = time.monotonic()
        return Mark(self._size, self._hash.hexdigest())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_points(path: Path) -> tuple[list[Point], int]:
    """Return the points of a file up to the first line that is damaged, and the bytes they take."""
    points, size = list[Point](), 0
    decode = json.JSONDecoder().decode  # json.loads would ask of every line how it is encoded
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            fields = decode(line.decode() if line.endswith(b"\n") else "")
            numbers = {name: float(value) for name, value in fields["numbers"].items()}
            points.append(Point(int(fields["step"]), int(fields["time"]), numbers))
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
            if number < len(lines):  # the last one is cut short by every kill in the middle of it
                log.warning("%s is damaged from line %s on; that part is measured again", path, number)
            break
        size += len(line)
    return points, size


def holds(path: Path, mark: Mark) -> bool:
    """Tell whether a file begins with what was marked."""
    if not path.is_file():
        return mark.size == 0
    begin = path.read_bytes()[: mark.size]
    return Mark(len(begin), hashlib.sha256(begin).hexdigest()) == mark
