"""Creation: one run for one token, though a store may make a run and its answer be lost on the way back."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.tracking.description import TEXT_LIMIT, TOKEN

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def find_token(client: MlflowClient, experiment_id: str, token: str) -> Run | None:
    """Return the run of a token, the oldest of several; None where the experiment has none."""
    order = ["attributes.start_time ASC"]
    found = client.search_runs([experiment_id], f"tags.`{TOKEN}` = '{token}'", order_by=order, max_results=1)
    return found[0] if found else None


def created(
    client: MlflowClient, experiment_id: str, token: str, name: str, tags: Mapping[str, str], started: int | None = None
) -> Run:
    """Return the run of a token, made where there is none. Whoever tries again after an error finds what was made."""
    if found := find_token(client, experiment_id, token):
        return found
    own = {key: value[:TEXT_LIMIT] for key, value in {TOKEN: token, **tags}.items()}
    with asking_once():
        return client.create_run(experiment_id, start_time=started, run_name=name, tags=own)


@contextmanager
def asking_once() -> Iterator[None]:
    """Keep MLflow from sending a request again by itself: it does not look whether the first one did its work."""
    before = os.environ.get(RETRIES)
    os.environ[RETRIES] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[RETRIES]
        else:
            os.environ[RETRIES] = before
