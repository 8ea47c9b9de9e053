"""The lock of a sweep: only one of the processes that want to lead a sweep leads it, and a dead leader is noticed.

On the store, a lease: the others wait until the leader has ended. MLflow has no locks, but a tag that everybody can
write: `bertlab.lease.<sweep>` of the experiment. It is taken by Fischer's rule of mutual exclusion (Lamport 1987, "A
fast mutual exclusion algorithm"): a process that finds it free writes its name, waits longer than a write takes, and
has the lease if its name is still there. The holder writes a new number every `BEAT` seconds. A lease that has not
changed for `EXPIRES` seconds is free. The reader measures this with its own clock, so clocks of different machines are
never compared. A lease whose process is gone from this machine is free at once.

On this disk, a folder with a lock that the leader holds; a sweep whose folder no process holds was killed:

    <output_dir>/sweeps/<time>/leading/    lock, run.json; exists while the sweep runs

Imports nothing heavy.
"""

import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.tracking.files import is_there, read_json, sealed, write_whole
from bertlab.tracking.mlflow import Tracker, patiently
from bertlab.tracking.run_folder import KILLED, RUNNING, STATE, SWEEP, RunFolder

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

LEASE = "bertlab.lease."
BEAT = 10.0  # seconds between two signs of life
EXPIRES = 60.0  # seconds without one after which the holder is regarded as dead
SETTLES = 0.5  # seconds in which all processes that saw the lease free write their names
LOOKS = 1.0  # seconds between two checks of a waiting process
FOLDER = "leading"
LEADER = "bertlab.leader"  # tag of the parent run: the token of its leading process


@contextmanager
def leased(tracker: Tracker, client: "MlflowClient", sweep: str) -> Iterator[None]:
    """Hold the lease of a sweep during the block; wait for it first. Raises AwayError if the store is away."""
    lease = Lease(client, patiently(lambda: tracker.experiment_id(client)), sweep)
    lease.take()
    lease.start()
    try:
        yield
    finally:
        lease.release()


class Lease(threading.Thread):
    """The lease of one process on a sweep; the thread shows that the process lives."""

    def __init__(self, client: "MlflowClient", experiment_id: str, sweep: str) -> None:
        super().__init__(name="bertlab-lease", daemon=True)
        self._client, self._experiment, self._key = client, experiment_id, f"{LEASE}{sweep}"
        self._name = f"{uuid.uuid4().hex} {machine()} {os.getpid()}"
        self._released = threading.Event()

    def take(self) -> None:
        """Wait until this process has the lease."""
        seen, since, said = "", time.monotonic(), False
        while True:
            value = patiently(self._read)
            seen, since = (value, since) if value == seen else (value, time.monotonic())
            if value and not is_gone(value) and time.monotonic() - since < EXPIRES:
                if not said:
                    _, host, pid, _ = value.split()
                    log.warning("process %s on %s leads this already: waiting until it has ended", pid, host)
                said = True
                time.sleep(LOOKS)
                continue
            patiently(lambda: self._write(0))
            time.sleep(SETTLES)
            if self._is_own(patiently(self._read)):
                return
            seen = ""

    def run(self) -> None:
        """Show a sign of life until the lease is released."""
        beat = 0
        while not self._released.wait(BEAT):
            beat += 1
            with suppress(Exception):  # a store that is away gets the next sign, or the lease expires
                if not self._is_own(self._read()):
                    log.warning("another process leads this now: this one was silent for %s s", EXPIRES)
                    return
                self._write(beat)

    def release(self) -> None:
        """Release the lease; if the store is away, it expires."""
        self._released.set()
        if self.is_alive():
            self.join()
        with suppress(Exception):  # each backend raises its own types
            if self._is_own(self._read()):
                self._client.delete_experiment_tag(self._experiment, self._key)

    def _is_own(self, value: str) -> bool:
        return value.startswith(f"{self._name} ")

    def _read(self) -> str:
        return str(self._client.get_experiment(self._experiment).tags.get(self._key, ""))

    def _write(self, beat: int) -> str:
        value = f"{self._name} {beat}"
        self._client.set_experiment_tag(self._experiment, self._key, value)
        return value


def machine() -> str:
    """Return the host's name and its process id namespace: processes see each other only if both are equal."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{space.stat().st_ino if space.exists() else 0}"


def is_gone(value: str) -> bool:
    """Return whether the process of a lease is known to have ended. This is unknown for other machines."""
    parts = value.split()
    if len(parts) != 4 or not parts[2].isdigit():
        return True  # not written by bertlab
    _, host, pid, _ = parts
    return host == machine() and (int(pid) == os.getpid() or not _works(int(pid)))


def _works(pid: int) -> bool:
    """Return whether a process runs and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    status = Path(f"/proc/{pid}/stat")
    return not (status.is_file() and status.read_text("utf-8").rpartition(")")[2].split()[0] == "Z")


@contextmanager
def lead_sweep(tracker: Tracker, folder: Path) -> Iterator[dict[str, str]]:
    """Lead the sweep of a folder during the block; yields the tag by which its run in the store is found."""
    run_folder = RunFolder(folder / FOLDER)
    try:
        with run_folder.held():
            yield {LEADER: run_folder.begin(place=None if tracker.offline else tracker.place)["token"]}
    finally:  # another holder of the lock sees the sweep's final status, which is not RUNNING
        _leave(run_folder)


def mark_killed_sweeps(tracker: Tracker, output_dir: str | Path) -> None:
    """Mark sweeps whose process is gone as killed, in their folders and in this store."""
    for run_folder in map(RunFolder, sorted(Path(output_dir).glob(f"sweeps/*/{FOLDER}"))):
        with run_folder.held(0) as held:
            state = run_folder.state()
            if (
                not held or not is_there(run_folder.folder / STATE) or state.get("pid") == os.getpid()
            ):  # a lock only excludes other processes
                continue
            _mark_folder(run_folder.folder.parent)
            place = state.get("place")  # unknown if the file is damaged
            if place and (tracker.offline or place != tracker.place):
                continue  # the next command with its store does it
            if place:
                _mark_run(tracker, state["token"])
        _leave(run_folder)
        log.warning("sweep %s: its process is gone, it is marked as killed", run_folder.folder.parent)


def _leave(run_folder: RunFolder) -> None:
    shutil.rmtree(run_folder.folder, ignore_errors=True)
    with suppress(OSError):  # fails if the folder contains a report
        run_folder.folder.parent.rmdir()


def _mark_folder(folder: Path) -> None:
    path = folder / SWEEP
    about = read_json(path)
    if about.get("status") == RUNNING:
        about |= {"status": KILLED, "ended": time.time_ns() // 1_000_000}
        write_whole(path, sealed(about))


def _mark_run(tracker: Tracker, token: str) -> None:
    client = tracker.connect()
    experiment = patiently(lambda: tracker.experiment_id(client))
    for run in client.search_runs([experiment], f"tags.`{LEADER}` = '{token}' and attributes.status = '{RUNNING}'"):
        client.set_terminated(run.info.run_id, KILLED)
