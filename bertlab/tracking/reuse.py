"""Reuse: finished runs that need no repeating, wherever they lie: in the ledger on this disk, or in the store.

What the ledger has and the store lacks is brought to the store, so that reports and studies find it there. A run whose
process is gone is marked as killed.
"""

import logging
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.ledger.cell import CELLS, KILLED, Cell, cell_of, running_in, unmark
from bertlab.tracking.description import KIND, TOKEN
from bertlab.tracking.identity import code_fingerprint
from bertlab.tracking.leading import bury_sweeps
from bertlab.tracking.mlflow import Tracker, patiently
from bertlab.tracking.table import CODE, KEY, search

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

AT_ONCE = 500  # ids in one question
FEW = 200  # keys; a question costs a store about as much as five runs that it reads


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
    cells = {key: cell for key in keys if (cell := finished_cell(output_dir, key, tracker.reuse))}
    done = _delivered(tracker, client, cells.values())
    damaged = {key for key in set(keys) - cells.keys() if cell_of(output_dir, key, code_fingerprint()).broken()}
    done |= _in_store(tracker, client, set(keys) - done.keys() - damaged)  # what is damaged here is made anew
    for key in (key for key in cells if key not in done):
        with cells[key].held():
            run_id = patiently(partial(deliver, client, experiment, cells[key], tracker.parent))
        done[key] = client.get_run(run_id)
    return done


def _delivered(tracker: Tracker, client: "MlflowClient", cells: Iterable[Cell]) -> "dict[str, Run]":
    """Return the finished runs of this store that cells of this code say were made from them, by key."""
    states = {cell.key: cell.state() for cell in cells if cell.code == code_fingerprint()}
    ids = [state["run_id"] for state in states.values() if state.get("place") == tracker.place and state.get("run_id")]
    runs: list[Run] = []
    for start in range(0, len(ids), AT_ONCE):
        wanted = ", ".join(f"'{run_id}'" for run_id in ids[start : start + AT_ONCE])
        runs += search(
            client, tracker.experiment, f"attributes.status = 'FINISHED' and attributes.run_id IN ({wanted})"
        )
    own = {state.get("token"): key for key, state in states.items()}
    return {own[token]: run for run in runs if (token := run.data.tags.get(TOKEN)) in own}


def _in_store(tracker: Tracker, client: "MlflowClient", keys: Collection[str]) -> "dict[str, Run]":
    """Return the finished runs of some keys: few are asked for one by one, for many all runs are read.

    Of several runs of a key, those of this code come first, and of these the oldest.
    """
    finished, own = "attributes.status = 'FINISHED' and", code_fingerprint()
    questions = [f"{finished} tags.`{KEY}` = '{key}'" for key in keys]
    if len(keys) > FEW:
        made = "" if tracker.reuse == "any" else f" and tags.`{CODE}` = '{own}'"
        questions = [f"{finished} tags.`{KIND}` = 'run'{made}"]
    runs = [run for question in questions for run in search(client, tracker.experiment, question)]  # newest first
    runs = [run for run in runs if tracker.reuse == "any" or run.data.tags.get(CODE) == own]
    runs.sort(key=lambda run: run.data.tags.get(CODE) == own)  # the last one of a key counts
    return {key: run for run in runs if (key := run.data.tags.get(KEY, "")) in keys}


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
    for cell in running_in(output_dir):  # as many as train or died, however many there are
        if not cell.folder.is_dir():
            unmark(cell.folder)
            continue
        with cell.held(0) as held:
            if held and cell.vanished():
                cell.end(KILLED)
                gone.append(cell)
            elif held:  # it has ended, or nothing is known of it
                unmark(cell.folder)
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
