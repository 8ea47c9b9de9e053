"""Reuse: finished runs that need no repeating, wherever they lie: in the ledger on this disk, or in the store.

What the ledger has and the store lacks is brought to the store, so that reports and studies find it there. A run whose
process is gone is marked as killed.
"""

import logging
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.ledger.cell import CELLS, FINISHED, KILLED, Cell, cell_of, cells_in
from bertlab.tracking.identity import code_fingerprint
from bertlab.tracking.leading import bury_sweeps
from bertlab.tracking.mlflow import Tracker, patiently

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)


def finished_cell(output_dir: str | Path, key: str, reuse: str) -> Cell | None:
    """Return the finished cell of a key: one of this code, or of any where `reuse` is any."""
    own = cell_of(output_dir, key, code_fingerprint())
    others = (Path(output_dir) / CELLS).glob(f"{key}-*") if reuse == "any" else ()
    return next((cell for cell in (own, *map(Cell, sorted(others))) if cell.record()), None)


def finished_runs(tracker: Tracker, output_dir: str | Path, keys: Collection[str]) -> "dict[str, Run]":
    """Return the finished runs of some keys from the store, after it was given what only the ledger had."""
    from bertlab.tracking.delivery import deliver

    client = tracker.connect()
    experiment = patiently(lambda: tracker.experiment_id(client))
    done = _in_store(tracker, client, keys)
    for key in keys:
        cell = None if key in done else finished_cell(output_dir, key, tracker.reuse)
        if cell:
            with cell.held():
                run_id = patiently(partial(deliver, client, experiment, cell, tracker.parent))
            done[key] = client.get_run(run_id)
    return done


def _in_store(tracker: Tracker, client: "MlflowClient", keys: Collection[str]) -> "dict[str, Run]":
    from bertlab.tracking.registry import finished

    key = next(iter(keys)) if len(keys) == 1 else None  # one is asked for by name
    done = finished(client, tracker.experiment, code_fingerprint(), key)
    if tracker.reuse == "any":
        done = {**finished(client, tracker.experiment, None, key), **done}
    return {key: run for key, run in done.items() if key in keys}


def reused(tracker: Tracker, output_dir: str | Path, key: str) -> str | None:
    """Say what a run of this key reached that is finished already; None where there is none."""
    cell = finished_cell(output_dir, key, tracker.reuse)
    if tracker.offline:
        return told(cell.state()["token"], outcome_on_disk(cell), cell.code) if cell else None
    run = finished_runs(tracker, output_dir, [key]).get(key)
    if run is None:
        return None
    outcome = outcome_on_disk(cell) if cell else outcome_in_words(run)
    return told(run.info.run_id, outcome, run.data.tags["bertlab.code"])


def told(run_id: str, outcome: str, code: str) -> str:
    """Say in words that a run is reused."""
    other = "" if code == code_fingerprint() else f", made by other code ({code})"
    return f"reused: run {run_id}{other}{', ' if outcome else ''}{outcome}"


def outcome_on_disk(cell: Cell) -> str:
    """Say what a finished cell reached, from its record."""
    return str((cell.record() or {}).get("outcome", ""))


def outcome_in_words(run: "Run") -> str:
    """Say what a finished run reached, from what the store has."""
    if run.data.tags.get("bertlab.diverged") == "true":
        return "diverged"
    return ", ".join(f"{name} {run.data.metrics[name]:.3f}" for name in ("eval/mlm_loss",) if name in run.data.metrics)


def bury(tracker: Tracker, output_dir: str | Path) -> list[Cell]:
    """Mark the runs and sweeps as killed whose process is gone, here and in the store, and return the runs' cells."""
    bury_sweeps(tracker, output_dir)
    gone = []
    for cell in cells_in(output_dir):
        if not cell.vanished():
            continue
        with cell.held(0) as held:
            if held and cell.vanished():
                cell.end(FINISHED if cell.record() else KILLED)
                gone.append(cell)
    if gone and not tracker.offline:
        _tell(tracker, gone)
    return gone


def _tell(tracker: Tracker, gone: list[Cell]) -> None:
    """Bring what is known of the dead to the store that they were recorded in."""
    from bertlab.tracking.delivery import deliver

    client = tracker.connect()
    experiment = patiently(lambda: tracker.experiment_id(client))
    for cell in gone:
        state = cell.state()
        if state.get("place") != tracker.place:
            continue
        with cell.held(0) as held:
            if held:  # nobody goes on with it at this moment
                patiently(partial(deliver, client, experiment, cell, state["parent"]))
        log.warning("run %s: its process is gone, it is marked as %s", state.get("run_id"), state["status"].lower())
