"""Reuse: finished runs that need not be repeated, in folders on this disk or in the store.

Runs that a folder has and the store lacks are uploaded, so that reports and studies find them there. A run whose
process is gone is marked as killed.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.tracking.description import CODE, ENVIRONMENT, KEY, KIND, TOKEN, Identity, identity_of
from bertlab.tracking.differences import last_values
from bertlab.tracking.metrics import read_points
from bertlab.tracking.mlflow import Tracker, patiently
from bertlab.tracking.result import RunResult
from bertlab.tracking.run_folder import KILLED, POINTS, RunFolder, run_folder_of, run_folders_like, running_in, unmark
from bertlab.tracking.runs_table import search
from bertlab.tracking.sweep_lock import mark_killed_sweeps

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

AT_ONCE = 500  # ids in one query
REUSED_HERE = {"same": "code", "code": "code", "any": "any"}  # for runs that were just made, on any machine
FEW = 200  # keys; a query costs a store about as much as reading five runs


def finished_folder(output_dir: str | Path, identity: Identity, reuse: str) -> RunFolder | None:
    """Return the finished folder of a run: with the same identity, else the nearest one that `reuse` allows."""
    return finished_folders(output_dir, [identity], reuse).get(identity.key)


def finished_folders(output_dir: str | Path, identities: Collection[Identity], reuse: str) -> dict[str, RunFolder]:
    """Return the finished folders of some runs by key; lists `cells` at most once."""
    own = ((each.key, run_folder_of(output_dir, each.key, each.code, each.made_in)) for each in identities)
    found = {key: run_folder for key, run_folder in own if run_folder.record()}
    left = [each for each in identities if each.key not in found] if reuse != "same" else []
    others = _cells_of(output_dir, {each.key for each in left}) if left else {}
    nearest = ((each.key, _nearest(others.get(each.key, ()), each.code, reuse)) for each in left)
    return found | {key: run_folder for key, run_folder in nearest if run_folder}


def _cells_of(output_dir: str | Path, keys: Collection[str]) -> dict[str, list[RunFolder]]:
    found: dict[str, list[RunFolder]] = {}
    for run_folder in run_folders_like(output_dir, "*"):
        if run_folder.key in keys:
            found.setdefault(run_folder.key, []).append(run_folder)
    return found


def _nearest(run_folders: Collection[RunFolder], code: str, reuse: str) -> RunFolder | None:
    near = [run_folder for run_folder in run_folders if run_folder.code == code]
    near += [run_folder for run_folder in run_folders if run_folder.code != code] if reuse == "any" else []
    return next((run_folder for run_folder in near if run_folder.record()), None)


def finished_runs(
    tracker: Tracker, output_dir: str | Path, identities: Collection[Identity], reuse: str | None = None
) -> "dict[str, Run]":
    """Return the finished runs of some identities by key, after uploading those that only this disk has.

    `reuse`: which runs may replace them; default: the tracker's rule.
    """
    from bertlab.tracking.upload import upload_run

    client, reuse = tracker.connect(), reuse or tracker.reuse
    experiment = patiently(lambda: tracker.experiment_id(client))
    run_folders = finished_folders(output_dir, identities, reuse)
    done = _delivered(tracker, client, run_folders.values())
    lost = (each for each in identities if each.key not in run_folders)
    damaged = {i.key for i in lost if run_folder_of(output_dir, i.key, i.code, i.made_in).broken()}
    sought = [each for each in identities if each.key not in done.keys() | damaged]  # damaged runs are made again
    done |= _in_store(tracker, client, sought, reuse)
    for key in (key for key in run_folders if key not in done):
        with run_folders[key].held():
            run_id = patiently(partial(upload_run, client, experiment, run_folders[key], tracker.parent))
        done[key] = client.get_run(run_id)
    return done


def _delivered(tracker: Tracker, client: "MlflowClient", run_folders: Iterable[RunFolder]) -> "dict[str, Run]":
    """Return by key the finished runs of this store that some folders record as theirs."""
    states = {run_folder.key: run_folder.state() for run_folder in run_folders}
    ids = [state["run_id"] for state in states.values() if state.get("place") == tracker.place and state.get("run_id")]
    runs: list[Run] = []
    for start in range(0, len(ids), AT_ONCE):
        wanted = ", ".join(f"'{run_id}'" for run_id in ids[start : start + AT_ONCE])
        runs += search(
            client, tracker.experiment, f"attributes.status = 'FINISHED' and attributes.run_id IN ({wanted})"
        )
    own = {state.get("token"): key for key, state in states.items()}
    return {own[token]: run for run in runs if (token := run.data.tags.get(TOKEN)) in own}


def _in_store(
    tracker: Tracker, client: "MlflowClient", identities: Collection[Identity], reuse: str
) -> "dict[str, Run]":
    """Return the finished runs of some identities: one query each if there are few, else all runs are read.

    If several runs can replace one, the nearest comes first, then the oldest.
    """
    finished = "attributes.status = 'FINISHED' and"
    questions = [f"{finished} tags.`{KEY}` = '{identity.key}'" for identity in identities]
    if len(identities) > FEW:
        codes = [""] if reuse == "any" else [f" and tags.`{CODE}` = '{code}'" for code in {i.code for i in identities}]
        questions = [f"{finished} tags.`{KIND}` = 'run'{made}" for made in codes]
    runs = [run for question in questions for run in search(client, tracker.experiment, question)]  # newest first
    found: dict[str, Run] = {}
    for nearness in ("any", "code", "same")[("any", "code", "same").index(reuse) :]:  # the nearest is found last
        wanted = {identity.as_reused(nearness): identity.key for identity in identities}
        stand_for = ((wanted.get(identity_of(run.data.tags).as_reused(nearness)), run) for run in runs)
        found |= {key: run for key, run in stand_for if key}
    return found


def finished_identities(client: "MlflowClient", experiment: str) -> set[Identity]:
    """Return the identities of all finished runs of an experiment."""
    wanted = f"tags.`{KIND}` = 'run' and attributes.status = 'FINISHED'"
    return {identity_of(run.data.tags) for run in search(client, experiment, wanted)}


def reused(tracker: Tracker, output_dir: str | Path, identity: Identity) -> RunResult | None:
    """Return the result of a finished run with this identity; None if there is none."""
    run_folder = finished_folder(output_dir, identity, tracker.reuse)
    if tracker.offline:
        return as_reused(result_on_disk(run_folder), folder_identity(run_folder), identity) if run_folder else None
    run = finished_runs(tracker, output_dir, [identity]).get(identity.key)
    return result_of(run, run_folder, identity) if run else None


def result_of(run: "Run", run_folder: RunFolder | None, wanted: Identity) -> RunResult:
    """Return the result of a finished run of a store as reused, from its files if they are here."""
    found = replace(result_on_disk(run_folder), run_id=run.info.run_id) if run_folder else result_in_store(run)
    return as_reused(found, identity_of(run.data.tags), wanted)


def folder_identity(run_folder: RunFolder) -> Identity:
    """Return the identity of a folder's run."""
    tags = run_folder.state().get("description", {}).get("tags", {})
    return Identity(run_folder.key, run_folder.code, tags.get(ENVIRONMENT, ""))


def as_reused(result: RunResult, found: Identity, wanted: Identity) -> RunResult:
    """Return a result marked as reused, with its code and environment if they differ from the wanted ones."""
    code = "" if found.code == wanted.code else found.code
    environment = "" if found.environment == wanted.environment else found.environment or "not recorded"
    return replace(result, reused=True, other_code=code, other_environment=environment)


def result_on_disk(run_folder: RunFolder) -> RunResult:
    """Return the result of a finished run, from the record and the points in its folder."""
    state, record = run_folder.state(), run_folder.record() or {}
    status = "diverged" if record.get("diverged") else "finished"
    metrics = last_values(read_points(run_folder.folder / POINTS)[0])
    return RunResult(str(state.get("run_id") or state["token"]), status, metrics, run_folder.folder)


def result_in_store(run: "Run") -> RunResult:
    """Return the result of a finished run, from the store."""
    status = "diverged" if run.data.tags.get("bertlab.diverged") == "true" else "finished"
    return RunResult(run.info.run_id, status, dict(run.data.metrics), None)


def mark_killed(tracker: Tracker, output_dir: str | Path) -> list[RunFolder]:
    """Mark runs and sweeps whose process is gone as killed, here and in the store; return the runs' folders."""
    mark_killed_sweeps(tracker, output_dir)
    gone = []
    for run_folder in running_in(output_dir):  # only those that train or died
        if not run_folder.folder.is_dir():
            unmark(run_folder.folder)
            continue
        with run_folder.held(0) as held:
            if held and run_folder.vanished():
                run_folder.end(KILLED)
                gone.append(run_folder)
            elif held:  # it has ended, or has no state
                unmark(run_folder.folder)
    if gone and not tracker.offline:
        _tell(tracker, gone)
    return gone


def _tell(tracker: Tracker, gone: list[RunFolder]) -> None:
    """Upload the state of dead runs to the store of these runs."""
    from bertlab.tracking.upload import upload_run

    client = tracker.connect()
    experiment = patiently(lambda: tracker.experiment_id(client))
    for run_folder in gone:
        state = run_folder.state()
        if state.get("place") != tracker.place:
            continue
        with run_folder.held(0) as held:
            if held:  # no process continues it now
                patiently(partial(upload_run, client, experiment, run_folder, state["parent"]))
        log.warning("run %s: its process is gone, it is marked as %s", state.get("run_id"), state["status"].lower())
