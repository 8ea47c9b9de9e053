"""Parent runs in a store: one for each sweep, registration of a study, and arm of a study, and the runs below them.

Enters: tags, ids and the contents of sweep folders. Leaves: runs of MLflow. A sweep is identified by its runs: the keys
of its jobs and the factors that it compares, not when, where or with which code it ran. So it has one parent run,
however often its command is called. A run that two sweeps share is below the first one; a tag of it names the other.
"""

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlab.config.errors import InputError
from bertlab.tracking.description import (
    ALSO,
    KEY,
    KIND,
    NAME,
    OPENED,
    PARENT,
    SWEEP_KEY,
    TEXT_LIMIT,
    TOKEN,
    Description,
)
from bertlab.tracking.files import read_json
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.retry import created, find_token
from bertlab.tracking.run_folder import FINISHED, KILLED, RUNNING, SWEEP, UNSENT, RunFolder, running_in
from bertlab.tracking.runs_table import pages, search

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

STUDY, REGISTRATION, REGISTERED, ARM = "bertlab.study", "bertlab.registration", "bertlab.registered", "bertlab.arm"


def find_parent(client: "MlflowClient", experiment_id: str, key: str) -> "Run | None":
    """Return the run of a sweep or a search, the oldest if there are several."""
    wanted = f"tags.`{SWEEP_KEY}` = '{key}'"
    found = client.search_runs([experiment_id], wanted, order_by=["attributes.start_time ASC"], max_results=1)
    return found[0] if found else None


def open_parent(tracker: Tracker, client: "MlflowClient", name: str, tags: Mapping[str, str], output_dir: str) -> str:
    """Return the id of a sweep's run: that of an earlier attempt, reopened, or a new one. Call with the lease held."""
    from mlflow.entities import RunTag

    now = {OPENED: str(time.time_ns() // 1_000_000)}
    run = find_parent(client, tracker.experiment_id(client), tags[SWEEP_KEY])
    if run is None:
        return tracker.start(client, name, {**tags, **now})
    run_id = str(run.info.run_id)
    client.update_run(run_id, status=RUNNING)
    client.log_batch(run_id, tags=[RunTag(key, value[:TEXT_LIMIT]) for key, value in {**tags, **now}.items()])
    mark_killed_below(tracker, client, run_id, output_dir)
    return run_id


def mark_killed_below(tracker: Tracker, client: "MlflowClient", parent: str, output_dir: str) -> None:
    """Mark runs below a parent as killed if an earlier leader left them RUNNING in another folder.

    Whoever holds the lease knows that the earlier leader and its workers are gone. A cluster job that still runs sets
    its true status when it ends. Runs whose files are here are marked through their folders.
    """
    wanted = f"tags.`{PARENT}` = '{parent}' and tags.`{KIND}` = 'run' and attributes.status = '{RUNNING}'"
    here = {run_folder.state().get("token") for run_folder in running_in(output_dir)}
    for run in search(client, tracker.experiment, wanted):
        if run.data.tags.get(TOKEN, "") not in here:
            client.set_terminated(run.info.run_id, KILLED)
            log.warning("run %s: who led its sweep is gone, it is marked as killed", run.info.run_id)


def take_over(client: "MlflowClient", parent: str, runs: "Iterable[Run]") -> None:
    """Move runs from a killed parent, which will never finish, to this one."""
    killed: dict[str, bool] = {}
    for run in runs:
        before = run.data.tags.get(PARENT)
        if before in (None, parent):
            continue
        if before not in killed:
            killed[before] = client.get_run(before).info.status == KILLED
        if killed[before]:
            client.set_tag(run.info.run_id, PARENT, parent)


@dataclass(frozen=True)
class SyncedSweep:
    """A sweep that is now in the store; `local` is its id on disk."""

    folder: Path
    about: Mapping[str, Any]
    client: "MlflowClient"
    experiment_id: str
    run_id: str

    @property
    def local(self) -> str:
        """Its id on disk."""
        return str(self.about["id"])

    def close(self, run_folders: Sequence[RunFolder]) -> None:
        """Link the runs that other sweeps made, add the report, and set the status."""
        by_name = {run_folder.folder.name: run_folder for run_folder in run_folders}
        for name, seen in self.about.get("cells", {}).items():
            token = by_name[name].state().get("token") if name in by_name else None
            run = find_token(self.client, self.experiment_id, token) if token else None
            if run and run.data.tags.get(PARENT) != self.run_id:
                link_existing(self.client, self.run_id, run, seen)
        self.client.set_terminated(self.run_id, self.about["status"], end_time=self.about.get("ended"))
        (self.folder / UNSENT).unlink(missing_ok=True)


def open_sweeps(output_dir: Path, uri: str | None, experiment: str | None) -> list[SyncedSweep]:
    """Create or find the parent runs of the sweeps of a folder."""
    folders = [path.parent for path in sorted((output_dir / "sweeps").glob(f"*/{SWEEP}"))]
    return [sweep for folder in folders if (sweep := open_sweep(folder, uri, experiment))]


def open_sweep(folder: Path, uri: str | None, experiment: str | None) -> SyncedSweep | None:
    """Create or find the parent run of one sweep; None, with a warning, if its file is damaged."""
    about = read_json(folder / SWEEP)
    if not about:
        log.warning("%s is damaged, its sweep is left out", folder / SWEEP)
        return None
    tracker = Tracker(uri=uri, experiment=experiment or about["experiment"])
    client = tracker.connect()
    experiment_id = tracker.experiment_id(client)
    key = about["tags"].get(SWEEP_KEY)
    run = (find_parent(client, experiment_id, key) if key else None) or created(
        client, experiment_id, about["id"], about["name"], about["tags"], about["started"]
    )
    return SyncedSweep(folder, about, client, experiment_id, run.info.run_id)


@dataclass(frozen=True)
class Registered:
    """A registration in the store, and the hashes of other registrations of this study, newest first."""

    run: "Run"
    others: tuple[str, ...]
    is_new: bool


def register_run(
    tracker: Tracker, client: "MlflowClient", study: str, name: str, tags: Mapping[str, str]
) -> Registered:
    """Return the parent run of registration `name`: the existing one, reopened, or a new one."""
    tracker.experiment_id(client)
    runs = search(client, tracker.experiment, f"tags.`{KIND}` = 'study' and tags.`{STUDY}` = '{study}'")
    others = tuple(dict.fromkeys(run.data.tags[REGISTRATION] for run in runs if run.data.tags[REGISTRATION] != name))
    for run in runs:
        if run.data.tags[REGISTRATION] == name:
            client.update_run(run.info.run_id, status="RUNNING")
            return Registered(run, others, is_new=False)
    run_id = tracker.start(client, study, {KIND: "study", STUDY: study, REGISTRATION: name, **tags})
    return Registered(client.get_run(run_id), others, is_new=True)


def summarise_arm(
    tracker: Tracker,
    client: "MlflowClient",
    study: str,
    arm: str,
    numbers: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    """Keep an arm's aggregates in a separate run below the study's, overwritten each time."""
    from mlflow.entities import Metric, RunTag

    wanted = f"tags.`{KIND}` = 'arm' and tags.`{PARENT}` = '{tracker.parent}' and tags.`{ARM}` = '{arm}'"
    found = search(client, tracker.experiment, wanted)
    own = {KIND: "arm", STUDY: study, ARM: arm, **tags}
    run_id = found[0].info.run_id if found else tracker.start(client, f"{arm} (all seeds)", own)
    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in numbers.items()],
        tags=[RunTag(name, value[:TEXT_LIMIT]) for name, value in own.items()],
    )
    client.set_terminated(run_id, "FINISHED")


def find_sweep(client: "MlflowClient", experiment: str, name: str | None) -> "Run":
    """Return the latest sweep, or the latest with a name. Raises InputError if there is none."""
    sweeps = search(client, experiment, f"tags.`{KIND}` = 'sweep'")
    found = [sweep for sweep in sweeps if name in (None, sweep.info.run_name)]
    if not found:
        raise InputError(
            f"sweep={name or 'latest'} must be a sweep of experiment {experiment!r}, found none; "
            "run one with bertlab sweep mask.rate=0.1,0.15,0.3"
        )
    return max(found, key=lambda sweep: int(sweep.data.tags.get(OPENED, sweep.info.start_time)))


def children(client: "MlflowClient", parent: "Run") -> "list[Run]":
    """Return the runs of a sweep, oldest first: those that it made and those that it reused."""
    tag = f"{ALSO}{parent.info.run_id}"
    made, found = (
        pages(client, [parent.info.experiment_id], wanted)
        for wanted in (f"tags.`{PARENT}` = '{parent.info.run_id}'", f"tags.`{tag}` LIKE '%'")
    )
    for run in found:
        try:
            run.data.tags.update(json.loads(run.data.tags[tag]))
        except (ValueError, TypeError):
            log.warning("run %s: its tag %s is damaged and left out", run.info.run_id, tag)
    return sorted(once([*made[::-1], *found[::-1]]), key=lambda run: int(run.info.start_time))


def once(runs: "Iterable[Run]") -> "list[Run]":
    """Return one run per key, since copies do not count as more seeds: the newest finished one, if any finished."""
    best: dict[str, Run] = {}
    for run in runs:
        key = run.data.tags.get(KEY, run.info.run_id)
        best[key] = max(run, best.get(key, run), key=_rank)
    return list(best.values())


def _rank(run: "Run") -> tuple[bool, int]:
    return run.info.status == FINISHED, int(run.info.start_time)


def seen_as(description: Description) -> dict[str, Any]:
    """Return the values that a sweep records for a run of another sweep."""
    baseline = description.tags.get("bertlab.baseline", "")
    return {"name": description.name, "params": dict(description.params), "baseline": baseline}


def link_existing(client: "MlflowClient", sweep: str, run: "Run", seen: Mapping[str, Any]) -> None:
    """Add a run of another sweep to the table of this sweep, with this sweep's values."""
    from mlflow.entities import Param

    own = {NAME: seen["name"], "bertlab.baseline": seen["baseline"]}
    new = {name: text for name, text in seen["params"].items() if name not in run.data.params}
    if new:
        client.log_batch(run.info.run_id, params=[Param(name, text[:TEXT_LIMIT]) for name, text in new.items()])
    client.set_tag(run.info.run_id, f"{ALSO}{sweep}", json.dumps(own))
