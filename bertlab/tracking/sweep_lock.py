"""The lock of a sweep: of the processes that want to lead one sweep, one leads, and one that died is noticed.

On the store, a lease: the others wait until the leader has ended. MLflow has no locks, but a tag that everybody can
write: `bertlab.lease.<sweep>` of the experiment. It is taken by Fischer's rule of mutual exclusion (Lamport 1987, "A
fast mutual exclusion algorithm"): whoever finds it free writes its name, waits for longer than a write takes, and has
it if its name is still there. The holder writes a new number every `BEAT` seconds. A lease that has not changed for
`EXPIRES` seconds is free, by the clock of the one who looks, so that clocks of different machines are never compared;
one whose process is gone from this machine is free at once.

On this disk, a folder with a lock that the leader holds; a sweep whose folder nobody holds was killed:

    <output_dir>/sweeps/<time>/leading/    lock, run.json; there while the sweep runs

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

from bertlab.ledger.files import is_there, read_json, sealed, write_whole
from bertlab.ledger.run_folder import KILLED, RUNNING, STATE, SWEEP, RunFolder
from bertlab.tracking.mlflow import Tracker, patiently

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

LEASE = "bertlab.lease."
BEAT = 10.0  # seconds between two signs of life
EXPIRES = 60.0  # seconds without one, after which the holder is taken to be dead
SETTLES = 0.5  # seconds within which all who saw the lease free have written their names
LOOKS = 1.0  # seconds between two looks of one who waits
FOLDER = "leading"
LEADER = "bertlab.leader"  # a tag of the parent run: the token of the process that leads it


@contextmanager
def leased(tracker: Tracker, client: "MlflowClient", sweep: str) -> Iterator[None]:
    """Hold the lease of a sweep while the block runs; wait for it first. Raises AwayError where the store is away."""
    lease = Lease(client, patiently(lambda: tracker.experiment_id(client)), sweep)
    lease.take()
    lease.start()
    try:
        yield
    finally:
        lease.release()


class Lease(threading.Thread):
    """One process' hold on a sweep; the thread shows that the process lives."""

    def __init__(self, client: "MlflowClient", experiment_id: str, sweep: str) -> None:
        super().__init__(name="bertlab-lease", daemon=True)
        self._client, self._experiment, self._key = client, experiment_id, f"{LEASE}{sweep}"
        self._name = f"{uuid.uuid4().hex} {machine()} {os.getpid()}"
        self._released = threading.Event()

    def take(self) -> None:
        """Wait until the lease is this process' own."""
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
            with suppress(Exception):  # a store that is away hears of it later, or takes this process to be dead
                if not self._is_own(self._read()):
                    log.warning("another process leads this now: this one was silent for %s s", EXPIRES)
                    return
                self._write(beat)

    def release(self) -> None:
        """Give the lease back; where the store is away it expires."""
        self._released.set()
        if self.is_alive():
            self.join()
        with suppress(Exception):  # every back end raises its own kind
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
    """Return the host's name and the space of process ids: processes with another of either do not see each other."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{space.stat().st_ino if space.exists() else 0}"


def is_gone(value: str) -> bool:
    """Tell whether the process of a lease is known to have ended. Of other machines nothing is known."""
    parts = value.split()
    if len(parts) != 4 or not parts[2].isdigit():
        return True  # nobody here wrote that
    _, host, pid, _ = parts
    return host == machine() and (int(pid) == os.getpid() or not _works(int(pid)))


def _works(pid: int) -> bool:
    """Tell whether a process is there, and not only its exit status."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    status = Path(f"/proc/{pid}/stat")
    return not (status.is_file() and status.read_text("utf-8").rpartition(")")[2].split()[0] == "Z")


@contextmanager
def lead_sweep(tracker: Tracker, folder: Path) -> Iterator[dict[str, str]]:
    """Lead the sweep of a folder while the block runs; yields the tag by which its run in the store is found."""
    run_folder = RunFolder(folder / FOLDER)
    try:
        with run_folder.held():
            yield {LEADER: run_folder.begin(place=None if tracker.offline else tracker.place)["token"]}
    finally:  # whoever holds the lock in between finds the sweep's own status, which is no longer RUNNING
        _leave(run_folder)


def mark_killed_sweeps(tracker: Tracker, output_dir: str | Path) -> None:
    """Mark the sweeps as killed whose process is gone, in their folders and in this store."""
    for run_folder in map(RunFolder, sorted(Path(output_dir).glob(f"sweeps/*/{FOLDER}"))):
        with run_folder.held(0) as held:
            state = run_folder.state()
            if (
                not held or not is_there(run_folder.folder / STATE) or state.get("pid") == os.getpid()
            ):  # a lock keeps out other processes only
                continue
            _mark_folder(run_folder.folder.parent)
            place = state.get("place")  # of a damaged one nothing is known
            if place and (tracker.offline or place != tracker.place):
                continue  # left for the next command with its store
            if place:
                _mark_run(tracker, state["token"])
        _leave(run_folder)
        log.warning("sweep %s: its process is gone, it is marked as killed", run_folder.folder.parent)


def _leave(run_folder: RunFolder) -> None:
    shutil.rmtree(run_folder.folder, ignore_errors=True)
    with suppress(OSError):  # the folder holds a report, or nothing else
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
