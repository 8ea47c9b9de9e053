"""A cell: everything that one run keeps on disk, found by its key and its code whatever command started it.

    <output_dir>/cells/<key>-<code>/
        lock                        held by the process that trains
        run.json                    who trains, since when, how it ended, and what the run is
        config.yaml                 the full configuration
        metrics.jsonl               every point
        checkpoint-<step>...        the newest two
        model/, traceback.txt       what a run that ended leaves
        record.json                 written last: a run is finished when this is there and true

Imports nothing heavy.
"""

import hashlib
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bertlab.ledger.files import refusing, write_whole
from bertlab.ledger.points import Mark, holds

CELLS = "cells"
SWEEP = "sweep.json"  # what the folder of a sweep says of it, for python -m bertlab.sync
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"  # as MLflow has them
STATE, POINTS, RECORD, CONFIG, TRACEBACK, MODEL = (
    "run.json",
    "metrics.jsonl",
    "record.json",
    "config.yaml",
    "traceback.txt",
    "model",
)


class Cell:
    """One cell. Only who holds its lock writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state: dict[str, Any] | None = None  # as this process noted it, even where the disk is full

    @property
    def key(self) -> str:
        """The run's key."""
        return self.folder.name.partition("-")[0]

    @property
    def code(self) -> str:
        """The fingerprint of the code."""
        return self.folder.name.partition("-")[2]

    @contextmanager
    def held(self, seconds: float = -1) -> Iterator[bool]:
        """Hold the lock, waiting for at most `seconds` (-1: as long as it takes); yields whether it was got.

        Raises InputError where the folder cannot be written.
        """
        with refusing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock", is_singleton=True)  # this process may hold it twice
            with suppress(Timeout):
                lock.acquire(timeout=seconds)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def state(self) -> dict[str, Any]:
        """Return what run.json says; nothing where it is absent or damaged."""
        return _read(self.folder / STATE) if self._state is None else self._state

    def note(self, **fields: Any) -> dict[str, Any]:
        """Change some fields of run.json and return all."""
        self._state = {**self.state(), **fields}
        write_whole(self.folder / STATE, json.dumps(self._state, indent=1) + "\n")
        return self._state

    def begin(self, **fields: Any) -> dict[str, Any]:
        """Note that this process trains the cell from now on; a run that goes on keeps its token and its start."""
        for half in self.folder.glob(".*"):  # of a process that was killed while it wrote
            with refusing(half):
                half.unlink()
        now = time.time_ns() // 1_000_000
        before = {"token": uuid.uuid4().hex, "started": now, **self.state()}
        own = {"status": RUNNING, "pid": os.getpid(), "host": socket.gethostname(), "ended": None}
        return self.note(**{**before, **own, **fields})

    def end(self, status: str) -> None:
        """Note how the run ended."""
        self.note(status=status, ended=max(time.time_ns() // 1_000_000, int(self.state().get("started", 0))))

    def forget(self) -> None:
        """Remove everything but the lock."""
        self._state = None
        with refusing(self.folder):
            for path in self.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != "lock":
                    path.unlink()

    def distrust(self) -> bool:
        """Begin anew where the record does not describe the files beside it; tell whether that was so."""
        if not (self.folder / RECORD).is_file() or self.record():
            return False
        self.forget()
        return True

    def finish(self, points: Mark, **fields: Any) -> None:
        """Write the record. It names the state of the other files, so that a later change of them is noticed."""
        own = {"key": self.key, "code": self.code, "points": vars(points), "weights": self._weights()}
        write_whole(self.folder / RECORD, json.dumps({**own, **fields}, indent=1) + "\n")

    def record(self) -> dict[str, Any] | None:
        """Return the record of a finished run, or None for one that is not there or does not describe these files."""
        record = _read(self.folder / RECORD)
        try:
            same = (record["key"], record["code"]) == (self.key, self.code)
            whole = holds(self.folder / POINTS, Mark(**record["points"])) and "outcome" in record
        except (KeyError, TypeError):
            return None
        there = self._weights()
        return record if same and whole and there in (None, record.get("weights")) else None

    def vanished(self) -> bool:
        """Tell whether the cell is noted as running though nobody holds its lock. Ask while holding it."""
        return self.state().get("status") == RUNNING

    def _weights(self) -> str | None:
        """Return the SHA-256 of the weights that lie here, None where none do."""
        path = self.folder / MODEL / "model.safetensors"
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def cell_of(output_dir: str | Path, key: str, code: str) -> Cell:
    """Return the cell of a key and a code; its folder may be absent."""
    return Cell(Path(output_dir) / CELLS / f"{key}-{code}")


def cells_in(output_dir: str | Path) -> list[Cell]:
    """Return the cells that are there, oldest first."""
    found = [path.parent for path in (Path(output_dir) / CELLS).glob(f"*/{STATE}")]
    return [Cell(folder) for folder in sorted(found, key=lambda folder: (folder.stat().st_ctime_ns, folder.name))]


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a cell, oldest first."""
    return sorted(folder.glob("checkpoint-*.safetensors"))


def _read(path: Path) -> dict[str, Any]:
    try:
        read: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return dict(read)
    except (OSError, ValueError, TypeError):
        return {}
