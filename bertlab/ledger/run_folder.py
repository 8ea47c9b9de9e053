"""The folder of a run: all that one run keeps on disk, found by its key and its code whatever command started it.

    <output_dir>/cells/<key>-<code>-<environment>/
        lock                        held by the process that trains
        run.json                    who trains, since when, how it ended, and what the run is
        config.yaml                 the full configuration
        origin.json                 the code that the run uses, module by module, and the environment that computes it
        metrics.jsonl               every point
        checkpoint-<step>...        the newest two
        kept/<tokens>.safetensors   weights on the way, where a run was asked to keep them
        kept/states/                likewise with the state of the optimiser
        model/, traceback.txt       what a run that ended leaves
        record.json                 written last: a run is finished when this is there and true
    <output_dir>/running/           the names of the runs that train, so that the dead are found without a look at all

The record seals the folder: it holds the SHA-256 of every other file, and of run.json what may not change later. It and
run.json hold a hash of themselves too. Runs of before there were seals have a record of points and weights alone.

Imports nothing heavy.
"""

import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bertlab.ledger.files import (
    DAMAGE,
    file_hash,
    is_plain,
    is_there,
    read_sealed,
    read_unsealed,
    refusing,
    sealed,
    write_whole,
)
from bertlab.ledger.metrics import Mark, holds

CELLS, MARKERS = "cells", "running"
UNSENT = "unsent"  # an empty file in a run's or a sweep's folder: a store has yet to get all of it
SWEEP = "sweep.json"  # what the folder of a sweep says of it, for bertlab sync
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"  # as MLflow has them
STATE, POINTS, RECORD, CONFIG, ORIGIN, TRACEBACK, MODEL = (
    "run.json",
    "metrics.jsonl",
    "record.json",
    "config.yaml",
    "origin.json",
    "traceback.txt",
    "model",
)
LOCK, WEIGHTS, KEPT = "lock", f"{MODEL}/model.safetensors", "kept"
STATES, START_STATE = "states", "state.safetensors"  # below what is kept; of a folder that a run starts from
SEALED = (CONFIG, ORIGIN, POINTS)  # and all of the model
LATER = ("status", "pid", "host", "ended", "place", "parent", "run_id")  # fields of run.json that change after the end
OLD = {"key", "code", "points", "weights", "outcome", "diverged"}  # fields of a record of before there were seals
OLD_STATE = {"token", "status", "started", "description"}  # fields of a run.json of before there were seals


class RunFolder:
    """The folder of one run. Only who holds its lock writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state: dict[str, Any] | None = None  # as this process noted it, even where the disk is full

    @property
    def key(self) -> str:
        """The run's key."""
        return self._named(0)

    @property
    def code(self) -> str:
        """The fingerprint of the code."""
        return self._named(1)

    @property
    def environment(self) -> str:
        """The hash of the environment; "" in runs of before it was recorded."""
        return self._named(2)

    @property
    def made_by(self) -> dict[str, str]:
        """What the folder belongs to, as its record and its checkpoints say it."""
        own = {"key": self.key, "code": self.code, "environment": self.environment}
        return {name: value for name, value in own.items() if value}

    def _named(self, part: int) -> str:
        parts = self.folder.name.split("-")
        return parts[part] if part < len(parts) else ""

    @contextmanager
    def held(self, seconds: float = -1) -> Iterator[bool]:
        """Hold the lock, waiting for at most `seconds` (-1: as long as it takes); yields whether it was got.

        Raises InputError where the folder cannot be written.
        """
        with refusing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / LOCK, is_singleton=True)  # this process may hold it twice
            with suppress(Timeout):
                lock.acquire(timeout=seconds)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def state(self) -> dict[str, Any]:
        """Return what run.json says; nothing where it is absent or damaged."""
        return self._read_state() if self._state is None else self._state

    def _read_state(self) -> dict[str, Any]:
        old = read_unsealed(self.folder / STATE)
        return read_sealed(self.folder / STATE) or (old if old.keys() >= OLD_STATE else {})

    def note(self, **fields: Any) -> dict[str, Any]:
        """Change some fields of run.json and return all."""
        self._state = {**self.state(), **fields}
        if runs := self._state.get("status") == RUNNING:
            mark(self.folder)
        write_whole(self.folder / STATE, sealed(self._state))
        if not runs:
            unmark(self.folder)
        return self._state

    def begin(self, **fields: Any) -> dict[str, Any]:
        """Note that this process trains the run from now on; a run that goes on keeps its token and its start."""
        with refusing(self.folder):
            for left in (*self.folder.glob(".*"), self.folder / TRACEBACK):  # of a process that was killed, or failed
                left.unlink(missing_ok=True)
        now = time.time_ns() // 1_000_000
        before = {"token": uuid.uuid4().hex, "started": now, **self.state()}
        own = {"status": RUNNING, "pid": os.getpid(), "host": socket.gethostname(), "ended": None}
        return self.note(**{**before, **own, **fields})

    def end(self, status: str) -> None:
        """Note how the run ended: well, once it has its record."""
        now = max(time.time_ns() // 1_000_000, int(self.state().get("started", 0)))
        self.note(status=FINISHED if is_there(self.folder / RECORD) else status, ended=now)

    def forget(self) -> None:
        """Remove everything but the lock."""
        self._state = None
        with refusing(self.folder):
            for path in self.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()

    def distrust(self) -> str | None:
        """Start from nothing where a file is not what the run left, and return that file's name."""
        if (broken := self.broken()) is not None:
            self.forget()
        return broken

    def finish(self, points: Mark, **fields: Any) -> None:
        """Write the record, which seals all other files: from here on the run is finished."""
        files = {name: file_hash(self.folder / name) for name in self._to_seal()} | {POINTS: points.sha256}
        own = {**self.made_by, "run": lasting_hash(self.state()), "files": files}
        write_whole(self.folder / RECORD, sealed({**own, **fields}))

    def record(self) -> dict[str, Any] | None:
        """Return the record of a finished run, or None for one that is not there or does not describe these files."""
        record = read_sealed(self.folder / RECORD)
        if record is None:
            return self._old_record()
        return None if self._unlike(record) else record

    def broken(self) -> str | None:
        """Return the name of a file that is not what the run left, None where all are, be it finished or not."""
        own = [self.folder / name for name in (STATE, RECORD, CONFIG, ORIGIN, POINTS, TRACEBACK)]
        for path in (*own, *self.folder.glob("checkpoint-*")):
            if is_there(path) and not is_plain(path):
                return path.name
        if self._is_no_folder(MODEL):
            return MODEL
        if is_there(self.folder / STATE) and not self._read_state():
            return STATE
        if not is_there(self.folder / RECORD):
            return RECORD if self.state().get("status") == FINISHED else None
        record = read_sealed(self.folder / RECORD)
        return self._unlike(record) if record else None if self._old_record() else RECORD

    def vanished(self) -> bool:
        """Tell whether the run is noted as running though nobody holds its lock. Ask while holding it."""
        return self.state().get("status") == RUNNING

    def _to_seal(self) -> list[str]:
        return [*SEALED, *sorted(f"{MODEL}/{path.name}" for path in (self.folder / MODEL).glob("[!.]*"))]

    def _unlike(self, record: Mapping[str, Any]) -> str | None:
        """Return the name of a file that is not as its record says. What the store has of the model may be absent."""
        files = record.get("files", {})
        if not self.made_by.items() <= record.items() or not files.keys() >= set(SEALED):
            return RECORD
        if lasting_hash(self._read_state()) != record.get("run"):
            return STATE
        if self._is_no_folder(MODEL):
            return MODEL
        return next((name for name in self._to_seal() if not self._is_sealed(name, files)), None)

    def _is_no_folder(self, name: str) -> bool:
        path = self.folder / name
        return is_there(path) and (path.is_symlink() or not path.is_dir())

    def _is_sealed(self, name: str, files: Mapping[str, str]) -> bool:
        path = self.folder / name
        return is_plain(path) and file_hash(path) == files.get(name)

    def _old_record(self) -> dict[str, Any] | None:
        """Return a record of before there were seals: it knows the points and the weights, and no more."""
        record = read_unsealed(self.folder / RECORD)
        try:
            own = {"key": self.key, "code": self.code, "weights": self._weights() or record["weights"]}
            same = record.keys() == OLD and own.items() <= record.items()
            mark = Mark(**record["points"])
            whole = holds(self.folder / POINTS, mark) and (self.folder / POINTS).stat().st_size == mark.size
        except DAMAGE:
            return None
        return record if same and whole and self._read_state() else None

    def _weights(self) -> str | None:
        """Return the SHA-256 of the weights in the folder, None where there are none."""
        path = self.folder / WEIGHTS
        return file_hash(path) if path.is_file() else None


def lasting_hash(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what run.json says for good."""
    lasting = {name: value for name, value in state.items() if name not in LATER}
    return sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def run_folder_of(output_dir: str | Path, key: str, code: str, environment: str = "") -> RunFolder:
    """Return the folder of a key, a code and the hash of an environment; it may be absent."""
    return RunFolder(Path(output_dir) / CELLS / "-".join(filter(None, [key, code, environment])))


def run_folders_like(output_dir: str | Path, key: str, code: str = "") -> list[RunFolder]:
    """Return the folders of a key and a code (any, where none is given), of whatever environment."""
    pattern = f"{key}-{code}*" if code else f"{key}-*"
    return [RunFolder(folder) for folder in sorted((Path(output_dir) / CELLS).glob(pattern)) if folder.is_dir()]


def run_folders_in(output_dir: str | Path) -> list[RunFolder]:
    """Return the folders that are there, oldest first."""
    found = [path.parent for path in (Path(output_dir) / CELLS).glob(f"*/{STATE}")]
    return [RunFolder(folder) for folder in sorted(found, key=lambda folder: (folder.stat().st_ctime_ns, folder.name))]


def running_in(output_dir: str | Path) -> list[RunFolder]:
    """Return the folders of runs that were noted as running and not yet as ended."""
    markers, run_folders = Path(output_dir) / MARKERS, Path(output_dir) / CELLS
    return [RunFolder(run_folders / path.name) for path in sorted(markers.iterdir())] if markers.is_dir() else []


def mark(folder: Path) -> None:
    """Leave a marker that a run trains; only folders of runs have one."""
    if folder.parent.name == CELLS:
        with refusing(marker := _marker(folder)):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()


def unmark(folder: Path) -> None:
    """Remove the marker of a run, if there is one."""
    if folder.parent.name == CELLS:
        with refusing(marker := _marker(folder)):
            marker.unlink(missing_ok=True)


def _marker(folder: Path) -> Path:
    return folder.parent.with_name(MARKERS) / folder.name


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a run's folder, oldest first."""
    return sorted(folder.glob("checkpoint-*.safetensors"))
