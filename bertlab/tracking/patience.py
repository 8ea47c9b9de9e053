"""Patience with a store: which of its errors may pass by themselves and are waited for, and what is said of others."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS
from typing import TypeVar

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted
from bertlab.tracking.address import address

BUSY_SECONDS = 30.0  # a store that is locked or restarting is tried again for so long at the start of a run
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
REFUSED = {EACCES, EDQUOT, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS}  # of a file system
PASSING = {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "ABORTED"}
TAKEN = ("UNIQUE constraint failed", "duplicate key value")  # another process made the same row first
Answer = TypeVar("Answer")


class AwayError(InputError):
    """The store does not answer; what is finished lies in the ledger."""


def patiently(attempt: Callable[[], Answer]) -> Answer:
    """Return what the attempt returns; try again while the store is locked or restarting.

    Raises AwayError for a store that still is, and InputError at once for what no waiting mends.
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
    """Tell whether an error of a store may pass by itself: it is locked, restarts, or has too much to do."""
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
    """Return the kinds of error that a store raises after it went away; requests' own are OSErrors."""
    from mlflow.exceptions import MlflowException

    return InputError, MlflowException, OSError


@contextmanager
def needing(uri: str) -> Iterator[None]:
    """Say in one line that a store went away in the block, and what to do. Raises AwayError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (AwayError, MlflowException) as error:
        store = address(uri)
        remedy = "make it whole" if store.file else "start the server"
        raise AwayError(
            f"tracking.uri must name a store that answers to the end, got {store}, which went away: "
            f"{line(error.__cause__ or error)}; {remedy} and type the same command again; nothing that is finished is "
            "repeated"
        ) from error


def line(error: BaseException) -> str:
    """Return an error's words in one line, without secrets."""
    return redacted(" ".join(str(error).split()))[:300]
