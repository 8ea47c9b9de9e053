"""The folder of a run: everything that one run keeps on disk, found by its key and its code after any command.

    <output_dir>/cells/<key>-<code>-<environment>/
        lock                        held by the process that trains
        run.json                    process, start, status, and description of the run
        config.yaml                 the full configuration
        origin.json                 the code that the run uses, module by module, and its environment
        metrics.jsonl               every point
        checkpoint-<step>...        the newest two
        kept/<tokens>.safetensors   intermediate weights, if the run was asked to keep them
        kept/states/                the same with the state of the optimiser
        model/, traceback.txt       left by a run that ended
        record.json                 written last: a run is finished if this exists and is correct
    <output_dir>/running/           the names of runs that train, so that dead ones are found without reading all

The record seals the folder: it contains the SHA-256 of every other file, and of the parts of run.json that may not
change later. The record and run.json also contain a hash of themselves. Runs from before there were seals have a record
of points and weights only.

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

from bertlab.tracking.files import (
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
from bertlab.tracking.metrics import Mark, holds

CELLS, MARKERS = "cells", "running"
UNSENT = "unsent"  # empty file in the folder of a run or sweep that is not completely uploaded yet
SWEEP = "sweep.json"  # description of a sweep in its folder, for bertlab sync
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"  # as in MLflow
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
STATES, START_STATE = "states", "state.safetensors"  # below `kept`; in a folder that a run starts from
SEALED = (CONFIG, ORIGIN, POINTS)  # and all files of the model
LATER = ("status", "pid", "host", "ended", "place", "parent", "run_id")  # fields of run.json that change after the end
OLD = {"key", "code", "points", "weights", "outcome", "diverged"}  # fields of a record from before there were seals
OLD_STATE = {"token", "status", "started", "description"}  # fields of a run.json from before there were seals


class RunFolder:
    """The folder of one run. Only the holder of its lock writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state: dict[str, Any] | None = None  # as this process last wrote it, even if the disk is full

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
        """Hash of the environment; "" in runs from before it was recorded."""
        return self._named(2)

    @property
    def made_by(self) -> dict[str, str]:
        """Key, code and environment of the folder, as in its record and its checkpoints."""
        own = {"key": self.key, "code": self.code, "environment": self.environment}
        return {name: value for name, value in own.items() if value}

    def _named(self, part: int) -> str:
        parts = self.folder.name.split("-")
        return parts[part] if part < len(parts) else ""

    @contextmanager
    def held(self, seconds: float = -1) -> Iterator[bool]:
        """Hold the lock, after waiting at most `seconds` (-1: no limit); yields whether it was acquired.

        Raises InputError if the folder cannot be written.
        """
        with refusing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / LOCK, is_singleton=True)  # this process may hold it more than once
            with suppress(Timeout):
                lock.acquire(timeout=seconds)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def state(self) -> dict[str, Any]:
        """Return the content of run.json; empty if it is absent or damaged."""
        return self._read_state() if self._state is None else self._state

    def _read_state(self) -> dict[str, Any]:
        old = read_unsealed(self.folder / STATE)
        return read_sealed(self.folder / STATE) or (old if old.keys() >= OLD_STATE else {})

    def note(self, **fields: Any) -> dict[str, Any]:
        """Change some fields of run.json and return all fields."""
        self._state = {**self.state(), **fields}
        if runs := self._state.get("status") == RUNNING:
            mark(self.folder)
        write_whole(self.folder / STATE, sealed(self._state))
        if not runs:
            unmark(self.folder)
        return self._state

    def begin(self, **fields: Any) -> dict[str, Any]:
        """Record that this process trains the run; a continued run keeps its token and its start time."""
        with refusing(self.folder):
            for left in (*self.folder.glob(".*"), self.folder / TRACEBACK):  # from a process that was killed or failed
                left.unlink(missing_ok=True)
        now = time.time_ns() // 1_000_000
        before = {"token": uuid.uuid4().hex, "started": now, **self.state()}
        own = {"status": RUNNING, "pid": os.getpid(), "host": socket.gethostname(), "ended": None}
        return self.note(**{**before, **own, **fields})

    def end(self, status: str) -> None:
        """Record the final status: FINISHED if the run has its record."""
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
        """Empty the folder if a file has changed since the run wrote it, and return that file's name."""
        if (broken := self.broken()) is not None:
            self.forget()
        return broken

    def finish(self, points: Mark, **fields: Any) -> None:
        """Write the record, which seals all other files and makes the run finished."""
        files = {name: file_hash(self.folder / name) for name in self._to_seal()} | {POINTS: points.sha256}
        own = {**self.made_by, "run": lasting_hash(self.state()), "files": files}
        write_whole(self.folder / RECORD, sealed({**own, **fields}))

    def record(self) -> dict[str, Any] | None:
        """Return the record of a finished run, None if it is absent or does not match the files."""
        record = read_sealed(self.folder / RECORD)
        if record is None:
            return self._old_record()
        return None if self._unlike(record) else record

    def broken(self) -> str | None:
        """Return the name of a file that changed since a run, finished or not, wrote it; None if there is none."""
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
        """Return whether the run is recorded as running. Call with its lock held: then its process is gone."""
        return self.state().get("status") == RUNNING

    def _to_seal(self) -> list[str]:
        return [*SEALED, *sorted(f"{MODEL}/{path.name}" for path in (self.folder / MODEL).glob("[!.]*"))]

    def _unlike(self, record: Mapping[str, Any]) -> str | None:
        """Return the name of a file that does not match its record. Files of the model in the store may be absent."""
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
        """Return a record from before there were seals, which only covers the points and the weights."""
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
        """Return the SHA-256 of the weights in the folder, None if there are none."""
        path = self.folder / WEIGHTS
        return file_hash(path) if path.is_file() else None


def lasting_hash(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the fields of run.json that never change."""
    lasting = {name: value for name, value in state.items() if name not in LATER}
    return sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def run_folder_of(output_dir: str | Path, key: str, code: str, environment: str = "") -> RunFolder:
    """Return the folder of a key, a code and the hash of an environment; it may be absent."""
    return RunFolder(Path(output_dir) / CELLS / "-".join(filter(None, [key, code, environment])))


def run_folders_like(output_dir: str | Path, key: str, code: str = "") -> list[RunFolder]:
    """Return the folders of a key and a code (default: any code), in any environment."""
    pattern = f"{key}-{code}*" if code else f"{key}-*"
    return [RunFolder(folder) for folder in sorted((Path(output_dir) / CELLS).glob(pattern)) if folder.is_dir()]


def run_folders_in(output_dir: str | Path) -> list[RunFolder]:
    """Return the existing folders, oldest first."""
    found = [path.parent for path in (Path(output_dir) / CELLS).glob(f"*/{STATE}")]
    return [RunFolder(folder) for folder in sorted(found, key=lambda folder: (folder.stat().st_ctime_ns, folder.name))]


def running_in(output_dir: str | Path) -> list[RunFolder]:
    """Return the folders of runs that are recorded as running and not as ended."""
    markers, run_folders = Path(output_dir) / MARKERS, Path(output_dir) / CELLS
    return [RunFolder(run_folders / path.name) for path in sorted(markers.iterdir())] if markers.is_dir() else []


def mark(folder: Path) -> None:
    """Write a marker that a run trains; only folders of runs get one."""
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
