"""Retries: which errors of a store may be temporary and are waited for, and the message of other errors.

Enters: an attempt that needs the store. Leaves: its result, or an InputError of one line. Each token gets only one run,
even if the store creates the run and its answer is lost.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS
from typing import TYPE_CHECKING, TypeVar

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted
from bertlab.tracking.address import address
from bertlab.tracking.description import TEXT_LIMIT, TOKEN

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

BUSY_SECONDS = 30.0  # time of retries at the start of a run, if a store is locked or restarting
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
REFUSED = {EACCES, EDQUOT, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS}  # error codes of a file system
PASSING = {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "ABORTED"}
TAKEN = ("UNIQUE constraint failed", "duplicate key value")  # another process created the same row first
Answer = TypeVar("Answer")
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


class AwayError(InputError):
    """The store does not answer; finished results are on disk."""


def patiently(attempt: Callable[[], Answer]) -> Answer:
    """Return the result of the attempt; retry while the store is locked or restarting.

    Raises AwayError if it still is after the time limit, and InputError at once for errors that waiting cannot fix.
    """
    from mlflow.exceptions import MlflowException
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

    pauses = wait_exponential(multiplier=0.2, max=5.0)
    try:
        return Retrying(
            retry=retry_if_exception(is_passing), wait=pauses, stop=stop_after_delay(BUSY_SECONDS), reraise=True
        )(attempt)
    except InputError:
        raise
    except (MlflowException, OSError) as error:
        kind = AwayError if is_passing(error) else InputError
        raise kind(f"tracking.uri must name a store that takes runs, got: {line(error)}") from error


def is_passing(error: BaseException) -> bool:
    """Return whether an error of a store may be temporary: it is locked, restarting or overloaded."""
    from mlflow.exceptions import MlflowException

    if any(words in str(error) for words in TAKEN):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error) and (code := getattr(cause, "sqlite_errorcode", None)) is not None:
            return code & 0xFF in BUSY
        cause = cause.__cause__ or getattr(cause, "orig", None)
    if isinstance(error, MlflowException):
        return error.error_code in PASSING
    return isinstance(error, AwayError) or (isinstance(error, OSError) and error.errno not in REFUSED)


def away() -> tuple[type[Exception], ...]:
    """Return the error types that a store raises when it is away; those of requests are OSErrors."""
    from mlflow.exceptions import MlflowException

    return InputError, MlflowException, OSError


@contextmanager
def needing(uri: str) -> Iterator[None]:
    """Turn the errors of a store that goes away in the block into one line with advice. Raises AwayError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (AwayError, MlflowException) as error:
        store = address(uri)
        remedy = "mend its file" if store.file else "start the server"
        raise AwayError(
            f"tracking.uri must name a store that answers until the command ends, got {store}, which went away: "
            f"{line(error.__cause__ or error)}; {remedy} and type the same command again; nothing that is finished is "
            "repeated"
        ) from error


def line(error: BaseException) -> str:
    """Return an error's text in one line, without secrets."""
    return redacted(" ".join(str(error).split()))[:300]


def find_token(client: "MlflowClient", experiment_id: str, token: str) -> "Run | None":
    """Return the run of a token, the oldest if there are several; None if the experiment has none."""
    order = ["attributes.start_time ASC"]
    found = client.search_runs([experiment_id], f"tags.`{TOKEN}` = '{token}'", order_by=order, max_results=1)
    return found[0] if found else None


def created(
    client: "MlflowClient",
    experiment_id: str,
    token: str,
    name: str,
    tags: Mapping[str, str],
    started: int | None = None,
) -> "Run":
    """Return the run of a token, created if there is none. A retry after an error finds the run that was created."""
    if found := find_token(client, experiment_id, token):
        return found
    own = {key: value[:TEXT_LIMIT] for key, value in {TOKEN: token, **tags}.items()}
    with asking_once():
        return client.create_run(experiment_id, start_time=started, run_name=name, tags=own)


@contextmanager
def asking_once() -> Iterator[None]:
    """Stop MLflow from repeating a request by itself: it does not check whether the first one succeeded."""
    before = os.environ.get(RETRIES)
    os.environ[RETRIES] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[RETRIES]
        else:
            os.environ[RETRIES] = before
