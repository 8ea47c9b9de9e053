"""The run table: runs and their curves from an MLflow store, as data frames.

Columns of `runs` are named as MLflow names them: run_id, name, status, `params.<key>`, `tags.<key>`, `metrics.<key>`.
`curves` is long: run_id, metric, step, tokens, value.
"""

import pandas as pd
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.errors import InputError
from bertlab.tracking.mlflow import KIND, PARENT

TOKENS = "perf/tokens"


def find_sweep(client: MlflowClient, experiment: str, name: str | None) -> Run:
    """Return the latest sweep, or the latest of that name. Raises InputError when there is none."""
    sweeps = search(client, experiment, f"tags.`{KIND}` = 'sweep'")
    found = [sweep for sweep in sweeps if name in (None, sweep.info.run_name)]
    if not found:
        raise InputError(
            f"sweep={name or 'latest'} must be a sweep of experiment {experiment!r}, found none; "
            "run one with python -m bertlab.run -m mask.rate=0.1,0.15,0.3"
        )
    return found[0]


def children(client: MlflowClient, parent: Run) -> list[Run]:
    """Return the runs of a sweep, oldest first."""
    wanted = f"tags.`{PARENT}` = '{parent.info.run_id}'"
    return _pages(client, [parent.info.experiment_id], wanted)[::-1]


def search(client: MlflowClient, experiment: str, wanted: str) -> list[Run]:
    """Return the runs of an experiment that an MLflow filter selects, newest first. Raises InputError."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise InputError(f"tracking.experiment must exist in the store, got {experiment!r}; run something first")
    try:
        return _pages(client, [found.experiment_id], wanted)
    except Exception as error:
        raise InputError(f"filter must be an MLflow filter, got {wanted!r}: {' '.join(str(error).split())}") from error


def runs_frame(runs: list[Run]) -> pd.DataFrame:
    """Return one row for each run."""
    return pd.DataFrame([_row(run) for run in runs])


def curves_frame(client: MlflowClient, runs: list[Run]) -> pd.DataFrame:
    """Return every logged point of the `train/` and `eval/` metrics, with the tokens seen at its step."""
    rows = []
    for run in runs:
        run_id = run.info.run_id
        tokens = {point.step: point.value for point in client.get_metric_history(run_id, TOKENS)}
        for metric in sorted(run.data.metrics):
            if metric.startswith(("train/", "eval/")):
                history = client.get_metric_history(run_id, metric)
                rows += [(run_id, metric, point.step, tokens.get(point.step), point.value) for point in history]
    return pd.DataFrame(rows, columns=["run_id", "metric", "step", "tokens", "value"])


def _row(run: Run) -> dict[str, object]:
    row: dict[str, object] = {"run_id": run.info.run_id, "name": run.info.run_name, "status": run.info.status}
    row |= {f"params.{key}": value for key, value in run.data.params.items()}
    row |= {f"tags.{key}": value for key, value in run.data.tags.items() if key.startswith("bertlab.")}
    return row | {f"metrics.{key}": value for key, value in run.data.metrics.items()}


def _pages(client: MlflowClient, experiments: list[str], wanted: str) -> list[Run]:
    runs: list[Run] = []
    token = None
    while True:
        order = ["attributes.start_time DESC"]
        page = client.search_runs(experiments, wanted, max_results=1000, order_by=order, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
