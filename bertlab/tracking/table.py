"""The run table: runs of an MLflow store as a data frame, and their curves.

Columns of `runs` are named as MLflow names them: run_id, name, status, `params.<key>`, `tags.<key>`, `metrics.<key>`.
`curves` is long. A store tells a curve in one call a metric, row by row; a run that finished left its curves in the
store as one file.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pandas as pd

from bertlab.config.errors import InputError
from bertlab.ledger.metrics import Point
from bertlab.ledger.run_folder import FINISHED
from bertlab.tracking.artifacts import fetched
from bertlab.tracking.curves import FILE, SHOWN, TOKENS, Curves, curves_of, unpacked
from bertlab.tracking.description import FILES, KEY, KIND, LEFT, OPENED, PARENT, TEXT_LIMIT, TOKEN, Description

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

NAME = "mlflow.runName"
CALLS = 8  # to a server at once; a file is read by one
ALSO = "bertlab.also."  # and the id of a sweep that has the run too, though another one made it
PLUMBING = (ALSO, TOKEN, LEFT, FILES)  # tags that say nothing to a reader


def find_sweep(client: "MlflowClient", experiment: str, name: str | None) -> "Run":
    """Return the latest sweep, or the latest of that name. Raises InputError when there is none."""
    sweeps = search(client, experiment, f"tags.`{KIND}` = 'sweep'")
    found = [sweep for sweep in sweeps if name in (None, sweep.info.run_name)]
    if not found:
        raise InputError(
            f"sweep={name or 'latest'} must be a sweep of experiment {experiment!r}, found none; "
            "run one with bertlab sweep mask.rate=0.1,0.15,0.3"
        )
    return max(found, key=lambda sweep: int(sweep.data.tags.get(OPENED, sweep.info.start_time)))


def children(client: "MlflowClient", parent: "Run") -> "list[Run]":
    """Return the runs of a sweep, oldest first: those that it made, and those that it found finished."""
    tag = f"{ALSO}{parent.info.run_id}"
    made, found = (
        _pages(client, [parent.info.experiment_id], wanted)
        for wanted in (f"tags.`{PARENT}` = '{parent.info.run_id}'", f"tags.`{tag}` LIKE '%'")
    )
    for run in found:
        try:
            run.data.tags.update(json.loads(run.data.tags[tag]))
        except (ValueError, TypeError):
            log.warning("run %s: its tag %s is damaged and left out", run.info.run_id, tag)
    return sorted(once([*made[::-1], *found[::-1]]), key=lambda run: int(run.info.start_time))


def once(runs: "Iterable[Run]") -> "list[Run]":
    """Return one run of each key, so that twins are no further seeds: one that finished, the newest."""
    best: dict[str, Run] = {}
    for run in runs:
        key = run.data.tags.get(KEY, run.info.run_id)
        best[key] = max(run, best.get(key, run), key=_rank)
    return list(best.values())


def _rank(run: "Run") -> tuple[bool, int]:
    return run.info.status == FINISHED, int(run.info.start_time)


def seen_as(description: Description) -> dict[str, Any]:
    """Return what a sweep says of a run that another one made."""
    baseline = description.tags.get("bertlab.baseline", "")
    return {"name": description.name, "params": dict(description.params), "baseline": baseline}


def adopt(client: "MlflowClient", sweep: str, run: "Run", seen: Mapping[str, Any]) -> None:
    """Have a sweep's table hold a run that another sweep made, as this one sees it."""
    from mlflow.entities import Param

    own = {NAME: seen["name"], "bertlab.baseline": seen["baseline"]}
    new = {name: text for name, text in seen["params"].items() if name not in run.data.params}
    if new:
        client.log_batch(run.info.run_id, params=[Param(name, text[:TEXT_LIMIT]) for name, text in new.items()])
    client.set_tag(run.info.run_id, f"{ALSO}{sweep}", json.dumps(own))


def search(client: "MlflowClient", experiment: str, wanted: str) -> "list[Run]":
    """Return the runs of an experiment that an MLflow filter selects, newest first. Raises InputError."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise InputError(f"tracking.experiment must exist in the store, got {experiment!r}; run something first")
    from mlflow.exceptions import MlflowException

    try:
        return _pages(client, [found.experiment_id], wanted)
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


def _pages(client: "MlflowClient", experiments: list[str], wanted: str) -> "list[Run]":
    runs: list[Run] = []
    token = None
    while True:
        order = ["attributes.start_time DESC"]
        page = client.search_runs(experiments, wanted, max_results=1000, order_by=order, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
