"""The weights of a finished run in a store: a logged model of MLflow, one a run, found by the run that made it.

A server of before MLflow 3 has no logged models. There the weights are artifacts of the run, in the folder `model`, as
they were in runs of before this module.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bertlab.ledger.metrics import Point
from bertlab.ledger.run_folder import MODEL
from bertlab.tracking.artifacts import holds
from bertlab.tracking.description import KEY, NOTE, TEXT_LIMIT

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.tracking import MlflowClient

UNKNOWN = {"ENDPOINT_NOT_FOUND", "NOT_FOUND", "NOT_IMPLEMENTED"}  # what a server says of an address it does not know
READY: Final = "READY"
MEASURES = "eval/"  # of which the last are linked to a model


def find_model(client: "MlflowClient", run: "Run") -> "LoggedModel | None":
    """Return the logged model of a run, None where there is none. Raises LookupError where a server has none at all."""
    from mlflow.exceptions import MlflowException

    wanted = f"source_run_id = '{run.info.run_id}'"
    try:
        found = client.search_logged_models([run.info.experiment_id], wanted, max_results=1)
    except MlflowException as error:
        if error.error_code in UNKNOWN:
            raise LookupError("the server has no logged models") from error
        raise
    return found[0] if found else None


def weights_uri(client: "MlflowClient", run: "Run") -> str:
    """Return where the weights of a run are in a store, if it kept them."""
    try:
        model = find_model(client, run)
    except LookupError:
        model = None
    return str(model.artifact_location) if model and model.status == READY else f"{run.info.artifact_uri}/{MODEL}"


def forget_model(client: "MlflowClient", run: "Run") -> None:
    """Delete the logged model of a run whose place another run has taken."""
    try:
        model = find_model(client, run)
    except LookupError:
        return
    if model:
        client.delete_logged_model(model.model_id)


def keep_model(
    client: "MlflowClient", run_id: str, folder: Path, about: Mapping[str, Any], points: Sequence[Point]
) -> None:
    """Bring a run's weights into a store, with its parameters and its last measures; what is there is left alone.

    Raises OSError where the store has other weights than it was given: those in `folder` must stay.
    """
    if not any(folder.glob("*")):  # what the store has of the model may be gone here
        return
    run = client.get_run(run_id)
    try:
        model = find_model(client, run) or _made(client, run, about)
    except LookupError:
        model = None
    uri = model.artifact_location if model else f"{run.info.artifact_uri}/{MODEL}"
    if not holds(client, uri, folder):
        upload(client, model.model_id if model else None, run_id, folder)
    if not holds(client, uri, folder):
        raise OSError(f"the store has other weights of run {run_id} than it was given")
    if model and model.status != READY:
        _make_ready(client, model.model_id, run, points)


def upload(client: "MlflowClient", model_id: str | None, run_id: str, folder: Path) -> None:
    """Upload weights to a logged model, else to their run."""
    if model_id:
        client.log_model_artifacts(model_id, str(folder))
    else:
        client.log_artifacts(run_id, str(folder), MODEL)


def _made(client: "MlflowClient", run: "Run", about: Mapping[str, Any]) -> "LoggedModel":
    """Make the logged model of a run. Its name is that of the folder, so that runs:/<run>/model is the weights."""
    from bertlab.tracking.retry import asking_once

    command = f"bertlab export run={run.info.run_id} to=FOLDER"
    told = f"Weights of run **{about['name']}**. `{command}` writes a folder that transformers loads."
    own = {NOTE: told, **{name: text for name, text in about["tags"].items() if name == KEY}}
    params = {name: text[:TEXT_LIMIT] for name, text in about["params"].items()}
    with asking_once():
        return client.create_logged_model(
            run.info.experiment_id, name=MODEL, source_run_id=run.info.run_id, tags=own, params=params
        )


def _make_ready(client: "MlflowClient", model_id: str, run: "Run", points: Sequence[Point]) -> None:
    """Link a model to its run and to the run's last measures, which the run has already: they are no new points."""
    from mlflow.entities import LoggedModelOutput, Metric

    last = {name: (p, value) for p in points for name, value in p.numbers.items() if name.startswith(MEASURES)}
    step = max((p.step for p in points), default=0)
    linked = run.outputs.model_outputs if run.outputs else []
    if all(output.model_id != model_id for output in linked):
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step)])
    measures = [Metric(name, value, p.time, p.step, model_id=model_id) for name, (p, value) in last.items()]
    client.log_batch(run.info.run_id, metrics=measures)
    client.finalize_logged_model(model_id, READY)
