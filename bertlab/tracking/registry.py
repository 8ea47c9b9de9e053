"""Studies in MLflow: the parent run of a registration, finished runs that need no repeating, summaries of arms."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import Metric, Run, RunTag
from mlflow.tracking import MlflowClient

from bertlab.tracking.description import KIND, PARENT, TEXT_LIMIT, Identity, identity_of
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.table import search

STUDY, REGISTRATION, REGISTERED, ARM = "bertlab.study", "bertlab.registration", "bertlab.registered", "bertlab.arm"


@dataclass(frozen=True)
class Registered:
    """A registration in the store, and the hashes of other registrations of the same study, newest first."""

    run: Run
    others: tuple[str, ...]
    is_new: bool


def register_run(tracker: Tracker, client: MlflowClient, study: str, name: str, tags: Mapping[str, str]) -> Registered:
    """Return the parent run of registration `name`: the one that is there, open again, or a new one."""
    tracker.experiment_id(client)
    runs = search(client, tracker.experiment, f"tags.`{KIND}` = 'study' and tags.`{STUDY}` = '{study}'")
    others = tuple(dict.fromkeys(run.data.tags[REGISTRATION] for run in runs if run.data.tags[REGISTRATION] != name))
    for run in runs:
        if run.data.tags[REGISTRATION] == name:
            client.update_run(run.info.run_id, status="RUNNING")
            return Registered(run, others, is_new=False)
    run_id = tracker.start(client, study, {KIND: "study", STUDY: study, REGISTRATION: name, **tags})
    return Registered(client.get_run(run_id), others, is_new=True)


def finished(client: MlflowClient, experiment: str) -> set[Identity]:
    """Return the identities of all finished runs of an experiment."""
    wanted = f"tags.`{KIND}` = 'run' and attributes.status = 'FINISHED'"
    return {identity_of(run.data.tags) for run in search(client, experiment, wanted)}


def summarise_arm(
    tracker: Tracker, client: MlflowClient, study: str, arm: str, numbers: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Keep an arm's aggregates on one run of its own below the study's, written anew each time."""
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
