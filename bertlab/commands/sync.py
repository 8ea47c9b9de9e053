"""Upload runs from disk to an MLflow store: `bertlab sync [from=outputs] [uri=URI] [experiment=NAME]`.

For runs that were made offline, for data that the store missed while it was not reachable, and for a store that
differs from the files of its runs: the files win. Running it twice does no harm.
  from=FOLDER      the output_dir of the runs
  uri=URI          the MLflow store; else MLFLOW_TRACKING_URI, else mlflow.db in the working directory
  experiment=NAME  replaces the experiment that each run names

  bertlab sync
  bertlab sync from=from-the-cluster uri=http://127.0.0.1:5000
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.tracking.run_folder import FINISHED, KILLED, RunFolder, run_folders_in

if TYPE_CHECKING:
    from bertlab.tracking.mlflow import Tracker

log = logging.getLogger(__name__)

SAID = 10  # most lines that are printed about repaired or skipped runs
DEFAULTS = {"from": "outputs", "uri": None, "experiment": None}


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        print(sync(parse(DEFAULTS, __doc__, words)))  # noqa: T201


def sync(arguments: dict[str, Any]) -> str:
    """Upload every run and sweep of a folder; return a summary. Raises InputError."""
    from bertlab.sweep.unsent import show
    from bertlab.tracking.address import ui_command
    from bertlab.tracking.mlflow import Tracker
    from bertlab.tracking.parent_runs import open_sweeps

    folder = Path(arguments["from"])
    cells = run_folders_in(folder)
    if not cells:
        raise InputError(f"from must be the output_dir of some runs, got {folder} without any; name another")
    uri, brought, left, lines = arguments["uri"], 0, 0, list[str]()
    sweeps = open_sweeps(folder, uri, arguments["experiment"])
    parents = {sweep.local: sweep.run_id for sweep in sweeps}
    tracker = Tracker(uri=uri, experiment=arguments["experiment"] or "bertlab")
    for cell in cells:
        with cell.held(0) as held:
            if held:
                settle(cell)
            if not held or (broken := cell.broken()):
                left += 1
                lines += (
                    [f"{cell.folder} is left out, its {broken} is damaged; its command makes it again"] if held else []
                )
                continue
            tracker = Tracker(uri=uri, experiment=arguments["experiment"] or cell.state()["experiment"])
            lines += filter(None, [bring(tracker, cell, parents)])
            brought += 1
    for sweep in sweeps:
        show(sweep)
        sweep.close(cells)
    say(lines)
    rest = f", {left} that train now or are damaged left out" if left else ""
    return f"{brought} runs and {len(sweeps)} sweeps of {folder} are in the store{rest}\n{ui_command(tracker.uri)}"


def say(lines: list[str]) -> None:
    """Print the first of the lines about repaired or skipped runs."""
    for line in lines[:SAID]:
        log.warning("%s", line)
    if len(lines) > SAID:
        log.warning("and %s more runs were corrected or left out", len(lines) - SAID)


def settle(cell: RunFolder) -> None:
    """Set the status of a run whose process is gone. The caller holds its lock."""
    if cell.vanished():
        cell.end(FINISHED if cell.record() else KILLED)


def bring(tracker: "Tracker", cell: RunFolder, parents: dict[str, str]) -> str | None:
    """Upload a run, below its sweep if the store has that sweep; return what was repaired there, in words."""
    from bertlab.tracking.upload import repair, upload_run

    client, state = tracker.connect(), cell.state()
    own = state["parent"] if state["place"] == tracker.place else None
    experiment = tracker.experiment_id(client)
    run_id = upload_run(client, experiment, cell, parents.get(state["parent"] or "", own))
    return repair(client, experiment, cell, run_id) if cell.record() else None
