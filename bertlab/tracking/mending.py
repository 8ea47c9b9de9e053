"""Mending: a run in a store that does not say what its cell holds is made to say it.

MLflow cannot take a value out of a run, and of a metric the value of the last step counts, among equal steps the one
that was logged last. So the true value is logged again at its step, later; tags are set anew. What this does not mend
(parameters never change; a false value at a step beyond the last hides every later one) is mended by a new run in the
place of the old one, which goes to MLflow's trash under a name that says so.
"""

import logging
import shutil
import time

from mlflow.entities import Metric, Run, RunTag
from mlflow.tracking import MlflowClient

from bertlab.ledger.metrics import Point, read_points
from bertlab.ledger.run_folder import MODEL, POINTS, Cell
from bertlab.tracking.artifacts import fetched, unlike, weights_uri
from bertlab.tracking.delivery import deliver
from bertlab.tracking.description import ALSO, KIND, PARENT, TOKEN
from bertlab.tracking.saved_model import forget_model
from bertlab.tracking.truth import Difference, differences, known_of, told

log = logging.getLogger(__name__)

REPLACED = "replaced"  # the kind of a run that another one stands in for


def mend(client: MlflowClient, experiment_id: str, cell: Cell, run_id: str) -> str | None:
    """Make a finished run say what its cell holds, and return a line about it; None where it does already."""
    points = read_points(cell.folder / POINTS)[0]
    known = known_of(cell, points)
    if not (wrong := list(differences(known, client.get_run(run_id)))):
        return None
    _say_again(client, run_id, wrong, points)
    if not list(differences(known, run := client.get_run(run_id))):
        return f"run {run_id} said {told(wrong)}; it is mended"
    new = _replace(client, experiment_id, cell, run)
    return f"run {run_id} said {told(wrong)}; it is in MLflow's trash, and run {new} in its place"


def _say_again(client: MlflowClient, run_id: str, wrong: list[Difference], points: list[Point]) -> None:
    steps = {name: point.step for point in sorted(points, key=lambda p: (p.step, p.time)) for name in point.numbers}
    metrics = []
    for own in wrong:
        if own.kind == "metrics":
            latest = max((has.timestamp for has in client.get_metric_history(run_id, own.name)), default=0)
            later = max(time.time_ns() // 1_000_000, latest + 1)
            metrics.append(Metric(own.name, float(own.true), later, steps[own.name]))
    tags = [RunTag(own.name, str(own.true)) for own in wrong if own.kind == "tags"]
    client.log_batch(run_id, metrics=metrics, tags=tags)


def _replace(client: MlflowClient, experiment_id: str, cell: Cell, old: Run) -> str:
    """Make a new run from a cell, with what sweeps have said of the old one, and delete that; return the new id."""
    own, tags = old.info.run_id, old.data.tags
    if not (cell.folder / MODEL).exists():
        _bring_model(client, old, cell)
    client.delete_tag(own, TOKEN)  # a run that is found no more, wherever this stops
    client.set_tag(own, KIND, REPLACED)
    new = deliver(client, experiment_id, cell, tags.get(PARENT))
    for name in tags:
        if name.startswith(ALSO):
            client.set_tag(new, name, tags[name])
    forget_model(client, old)
    client.update_run(own, name=f"{REPLACED} by {new}")
    client.delete_run(own)
    cell.note(run_id=new)
    return new


def _bring_model(client: MlflowClient, run: Run, cell: Cell) -> None:
    """Take the weights back from a run that has them, where they are those that the cell left."""
    prefix = f"{MODEL}/"
    files = (cell.record() or {}).get("files", {})
    left = {name.removeprefix(prefix): own for name, own in files.items() if name.startswith(prefix)}
    if not left:
        return
    with fetched(client, weights_uri(client, run)) as folder:
        if unlike(folder, left) is None:
            shutil.copytree(folder, cell.folder / MODEL)
        else:
            log.warning(
                "run %s: the weights in the store are not those that the run left; they stay behind", run.info.run_id
            )
