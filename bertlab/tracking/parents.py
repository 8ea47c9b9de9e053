"""Parents: one run in the store for one sweep, however often it is typed, and its runs below it.

A sweep is what its runs are: the keys of its jobs and the factors that it compares, not when, where or by which code.
"""

import logging
import time
from collections.abc import Iterable, Mapping

from mlflow.entities import Run, RunTag
from mlflow.tracking import MlflowClient

from bertlab.ledger.run_folder import KILLED, RUNNING, running_in
from bertlab.tracking.description import KIND, OPENED, PARENT, SWEEP_KEY, TEXT_LIMIT, TOKEN
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.table import search

log = logging.getLogger(__name__)


def find_parent(client: MlflowClient, experiment_id: str, key: str) -> Run | None:
    """Return the run of a sweep or a search, the oldest of several."""
    wanted = f"tags.`{SWEEP_KEY}` = '{key}'"
    found = client.search_runs([experiment_id], wanted, order_by=["attributes.start_time ASC"], max_results=1)
    return found[0] if found else None


def open_parent(tracker: Tracker, client: MlflowClient, name: str, tags: Mapping[str, str], output_dir: str) -> str:
    """Return the id of a sweep's run: the one of an earlier try, open again, or a new one. Hold its lease."""
    now = {OPENED: str(time.time_ns() // 1_000_000)}
    run = find_parent(client, tracker.experiment_id(client), tags[SWEEP_KEY])
    if run is None:
        return tracker.start(client, name, {**tags, **now})
    run_id = str(run.info.run_id)
    client.update_run(run_id, status=RUNNING)
    client.log_batch(run_id, tags=[RunTag(key, value[:TEXT_LIMIT]) for key, value in {**tags, **now}.items()])
    abandon(tracker, client, run_id, output_dir)
    return run_id


def abandon(tracker: Tracker, client: MlflowClient, parent: str, output_dir: str) -> None:
    """Mark the runs below a parent as killed that its earlier leader left RUNNING in another folder.

    Who holds the lease knows that the leader is gone, and its workers with it. A job of a cluster that lives on sets
    its true status when it ends. Runs whose files lie here are buried by their cells.
    """
    wanted = f"tags.`{PARENT}` = '{parent}' and tags.`{KIND}` = 'run' and attributes.status = '{RUNNING}'"
    here = {cell.state().get("token") for cell in running_in(output_dir)}
    for run in search(client, tracker.experiment, wanted):
        if run.data.tags.get(TOKEN, "") not in here:
            client.set_terminated(run.info.run_id, KILLED)
            log.warning("run %s: who led its sweep is gone, it is marked as killed", run.info.run_id)


def take_over(client: MlflowClient, parent: str, runs: Iterable[Run]) -> None:
    """Put runs below a parent that lie below one that was killed: that one will never be finished."""
    killed: dict[str, bool] = {}
    for run in runs:
        before = run.data.tags.get(PARENT)
        if before in (None, parent):
            continue
        if before not in killed:
            killed[before] = client.get_run(before).info.status == KILLED
        if killed[before]:
            client.set_tag(run.info.run_id, PARENT, parent)
