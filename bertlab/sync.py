"""Bring runs from disk into an MLflow store: `python -m bertlab.sync [from=outputs] [uri=URI] [experiment=NAME]`.

For runs that were made offline, and for what a store that was away did not take. Twice does no harm.
  from=FOLDER      the output_dir of the runs
  uri=URI          an MLflow store; else MLFLOW_TRACKING_URI, else mlflow.db in the working directory
  experiment=NAME  instead of the one that each run names
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlab.arguments import parse
from bertlab.errors import InputError
from bertlab.explain import one_line_errors
from bertlab.ledger.cell import FINISHED, KILLED, Cell, cells_in

if TYPE_CHECKING:
    from bertlab.tracking.mlflow import Tracker

DEFAULTS = {"from": "outputs", "uri": None, "experiment": None}


def main() -> None:
    """Enter from the command line."""
    with one_line_errors():
        print(sync(parse(DEFAULTS, __doc__)))  # noqa: T201


def sync(arguments: dict[str, Any]) -> str:
    """Bring every cell and sweep of a folder into a store and say how many. Raises InputError."""
    from bertlab.tracking.mlflow import Tracker
    from bertlab.tracking.reach import ui_command
    from bertlab.tracking.sweeps import open_sweeps

    folder = Path(arguments["from"])
    cells = cells_in(folder)
    if not cells:
        raise InputError(f"from must be the output_dir of some runs, got {folder} without any; name another")
    uri, parents, brought, trained = arguments["uri"], dict[str, str](), 0, 0
    sweeps = open_sweeps(folder, uri, arguments["experiment"])
    parents = {sweep.local: sweep.run_id for sweep in sweeps}
    for cell in cells:
        with cell.held(0) as held:
            if not held:
                trained += 1
                continue
            settle(cell)
            tracker = Tracker(uri=uri, experiment=arguments["experiment"] or cell.state()["experiment"])
            bring(tracker, cell, parents)
            brought += 1
    for sweep in sweeps:
        sweep.close(cells)
    left = f", {trained} that train now left out" if trained else ""
    return f"{brought} runs and {len(sweeps)} sweeps of {folder} are in the store{left}\n{ui_command(tracker.uri)}"


def settle(cell: Cell) -> None:
    """Give a run whose process is gone its true status. Hold its lock."""
    if cell.vanished():
        cell.end(FINISHED if cell.record() else KILLED)


def bring(tracker: "Tracker", cell: Cell, parents: dict[str, str]) -> None:
    """Deliver a cell, below its sweep where that is in the same store."""
    from bertlab.tracking.delivery import deliver

    client, state = tracker.connect(), cell.state()
    own = state["parent"] if state["place"] == tracker.place else None
    deliver(client, tracker.experiment_id(client), cell, parents.get(state["parent"] or "", own))


if __name__ == "__main__":
    main()
