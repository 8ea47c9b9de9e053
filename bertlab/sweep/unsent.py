"""Runs and sweeps that a store missed: their folders are marked, and the next command uploads them."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.retry import away, line, patiently
from bertlab.tracking.run_folder import CELLS, RUNNING, UNSENT, RunFolder, run_folders_in

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from bertlab.tracking.parent_runs import SyncedSweep

log = logging.getLogger(__name__)


def bring_unsent(tracker: Tracker, output_dir: str | Path) -> None:
    """Upload earlier runs and sweeps that this store missed; report failures and keep their marks."""
    cells = [RunFolder(mark.parent) for mark in sorted((Path(output_dir) / CELLS).glob(f"*/{UNSENT}"))]
    own = [cell for cell in cells if cell.state().get("place") == tracker.place]
    sweeps = [mark.parent for mark in sorted(Path(output_dir).glob(f"sweeps/*/{UNSENT}"))]
    sweeps = [folder for folder in sweeps if (folder / UNSENT).read_text(encoding="utf-8") == tracker.place]
    if tracker.offline or not (own or sweeps):
        return
    client = tracker.connect()
    for folder in [cell.folder for cell in own] + sweeps:
        try:
            if folder in sweeps:
                _bring_sweep(tracker, folder, output_dir)
            else:
                _bring_cell(tracker, client, RunFolder(folder))
        except away() as error:
            log.warning("the store has yet to take %s: %s", folder, line(error))


def _bring_cell(tracker: Tracker, client: "MlflowClient", cell: RunFolder) -> None:
    from bertlab.tracking.upload import upload_run

    with cell.held(0) as held:
        state = cell.state()
        if held and state["status"] != RUNNING:
            experiment = patiently(lambda: tracker.experiment_id(client))
            patiently(lambda: upload_run(client, experiment, cell, state["parent"]))


def _bring_sweep(tracker: Tracker, folder: Path, output_dir: str | Path) -> None:
    from bertlab.tracking.parent_runs import open_sweep

    if sweep := open_sweep(folder, tracker.uri, tracker.experiment):
        show(sweep)
        sweep.close(run_folders_in(output_dir))


def show(sweep: "SyncedSweep") -> None:
    """Upload the report of a sweep, if it has one, to its run in the store."""
    from bertlab.report.study.publish import publish_study
    from bertlab.study.exploration import ID
    from bertlab.study.judge import judge
    from bertlab.study.record import read_record

    page = sweep.folder / "report" / f"{ID}.md"
    if page.with_suffix("").is_dir():
        publish_study(sweep.client, sweep.run_id, judge(read_record(page.with_suffix(""))), page)
