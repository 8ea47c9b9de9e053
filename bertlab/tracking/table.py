"""The run table: runs of an MLflow store as a data frame, and their curves.

Columns of `runs` are named as MLflow names them: run_id, name, status, `params.<key>`, `tags.<key>`, `metrics.<key>`.
`curves` is long. A store tells a curve in one call a metric, row by row; a run that finished left its curves in the
store as one file.
"""

import logging
from hashlib import sha256
from typing import TYPE_CHECKING

import pandas as pd

from bertlab.config.errors import InputError
from bertlab.ledger.metrics import Point
from bertlab.ledger.run_folder import FINISHED
from bertlab.tracking.artifacts import fetched
from bertlab.tracking.curves import FILE, SHOWN, TOKENS, Curves, curves_of, unpacked
from bertlab.tracking.description import ALSO, FILES, LEFT, NAME, TOKEN

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

PLUMBING = (ALSO, TOKEN, LEFT, FILES)  # tags that say nothing to a reader
CALLS = 8  # to a server at once; a file is read by one


def search(client: "MlflowClient", experiment: str, wanted: str) -> "list[Run]":
    """Return the runs of an experiment that an MLflow filter selects, newest first. Raises InputError."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise InputError(f"tracking.experiment must exist in the store, got {experiment!r}; run something first")
    from mlflow.exceptions import MlflowException

    try:
        return pages(client, [found.experiment_id], wanted)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise InputError(f"filter must be an MLflow filter, got {wanted!r}: {' '.join(str(error).split())}") from error


def runs_frame(runs: "list[Run]") -> pd.DataFrame:
    """Return one row for each run."""
    return pd.DataFrame([_row(run) for run in runs])


def curves_left(client: "MlflowClient", run: "Run") -> Curves | None:
    """Return the curves that the run left in the store as one file; none where it left none, or a damaged one."""
    if run.info.status != FINISHED or LEFT not in run.data.tags:
        return None
    try:
        with fetched(client, f"{run.info.artifact_uri}/{FILE}") as path:
            content = path.read_bytes()
    except Exception as error:  # every place of artifacts has its own kinds
        fault = " ".join(str(error).split())[:200]
    else:
        if sha256(content).hexdigest() == run.data.tags[LEFT]:
            return unpacked(content)
        fault = "it is not what the run left"
    log.warning("%s of run %s cannot be read, its points are asked for instead: %s", FILE, run.info.run_id, fault)
    return None


def curves_stored(client: "MlflowClient", run: "Run") -> Curves:
    """Return the curves as the store tells them: of several values of a step the latest."""
    names = [TOKENS, *(name for name in run.data.metrics if name.startswith(SHOWN))]
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in names}
    latest = {
        (name, one.step): one for name, has in histories.items() for one in sorted(has, key=lambda each: each.timestamp)
    }
    return curves_of([Point(step, one.timestamp, {name: one.value}) for (name, step), one in latest.items()])


def _row(run: "Run") -> dict[str, object]:
    row: dict[str, object] = {
        "run_id": run.info.run_id,
        "name": run.data.tags.get(NAME, run.info.run_name),
        "status": run.info.status,
    }
    row |= {f"params.{key}": value for key, value in run.data.params.items()}
    row |= {
        f"tags.{key}": value
        for key, value in run.data.tags.items()
        if key.startswith("bertlab.") and not key.startswith(PLUMBING)
    }
    return row | {f"metrics.{key}": value for key, value in run.data.metrics.items()}


def pages(client: "MlflowClient", experiments: list[str], wanted: str) -> "list[Run]":
    """Return the runs of some experiments that an MLflow filter selects, newest first, page by page."""
    runs: list[Run] = []
    token = None
    while True:
        order = ["attributes.start_time DESC"]
        page = client.search_runs(experiments, wanted, max_results=1000, order_by=order, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
