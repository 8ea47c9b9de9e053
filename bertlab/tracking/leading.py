"""Who leads a sweep: its process holds a lock in the sweep's folder, so that one whose process is gone is noticed.

    <output_dir>/sweeps/<time>/leading/    lock, run.json; there while the sweep runs

Imports nothing heavy.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bertlab.ledger.files import is_there, read_json, sealed, write_whole
from bertlab.ledger.run_folder import KILLED, RUNNING, STATE, SWEEP, Cell
from bertlab.tracking.mlflow import Tracker, patiently

log = logging.getLogger(__name__)

FOLDER = "leading"
LEADER = "bertlab.leader"  # a tag of the parent run: the token of the process that leads it


@contextmanager
def leading(tracker: Tracker, folder: Path) -> Iterator[dict[str, str]]:
    """Lead the sweep of a folder while the block runs; yields the tag by which its run in the store is found."""
    cell = Cell(folder / FOLDER)
    try:
        with cell.held():
            yield {LEADER: cell.begin(place=None if tracker.offline else tracker.place)["token"]}
    finally:  # whoever holds the lock in between finds the sweep's own status, which is no longer RUNNING
        _leave(cell)


def bury_sweeps(tracker: Tracker, output_dir: str | Path) -> None:
    """Mark the sweeps as killed whose process is gone, in their folders and in this store."""
    for cell in map(Cell, sorted(Path(output_dir).glob(f"sweeps/*/{FOLDER}"))):
        with cell.held(0) as held:
            state = cell.state()
            if (
                not held or not is_there(cell.folder / STATE) or state.get("pid") == os.getpid()
            ):  # a lock keeps out other processes only
                continue
            _mark_folder(cell.folder.parent)
            place = state.get("place")  # of a damaged one nothing is known
            if place and (tracker.offline or place != tracker.place):
                continue  # the next command with its store tells that
            if place:
                _mark_run(tracker, state["token"])
        _leave(cell)
        log.warning("sweep %s: its process is gone, it is marked as killed", cell.folder.parent)


def _leave(cell: Cell) -> None:
    shutil.rmtree(cell.folder, ignore_errors=True)
    with suppress(OSError):  # the folder holds a report, or nothing else
        cell.folder.parent.rmdir()


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
