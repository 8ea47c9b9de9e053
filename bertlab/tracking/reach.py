"""Reaching a store: a URI -> a client of a store that answers, and what a store raises that does not."""

import logging
import os
import shlex
import shutil
import sqlite3
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from bertlab.cache import cached, digest
from bertlab.errors import InputError
from bertlab.importing import import_heavy
from bertlab.tracking.page import KIND_OF_EXPERIMENT

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

REACH_SECONDS = 5.0  # a server that does not answer within this is taken to be absent
BUSY_SECONDS = 30.0  # a store that is locked or restarting is tried again for so long at the start of a run
SQLITE = "sqlite:///"
TABLES = "tables.db"  # in the cache: a database with MLflow's tables
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class AwayError(InputError):
    """The store does not answer; what is finished lies in the ledger."""


def connect(uri: str) -> "MlflowClient":
    """Return a client of a store that answers. Raises InputError at once where none does."""
    if uri.startswith(("http://", "https://")):
        _reach(uri)
    elif uri.startswith(SQLITE):
        _writable(Path(uri.removeprefix(SQLITE)))
        _whole(Path(uri.removeprefix(SQLITE)))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the sender has a patience of its own
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a run ends with lines of its own
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a report fetches a file of every run
    import_heavy("mlflow.tracking")
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces that it makes its tables
    try:
        if uri.startswith(SQLITE):
            _make_whole(Path(uri.removeprefix(SQLITE)))
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except InputError:  # of the cache
        raise
    except Exception as error:  # every back end raises its own kind
        raise InputError(f"tracking.uri must name an MLflow store, got {uri}: {line(error)}") from error
    return client


def is_there(uri: str) -> bool:
    """Tell whether a store is not a database that would have to be made first."""
    return not uri.startswith(SQLITE) or Path(uri.removeprefix(SQLITE)).is_file()


def look(uri: str) -> None:
    """Raise InputError where no store answers; a database that could be made is not made for it."""
    database = Path(uri.removeprefix(SQLITE))
    if uri.startswith(SQLITE) and not database.exists():
        _writable(database)
    else:
        connect(uri)


def experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    """Return the experiment's id; it is made on first use, beside the database where that is a local file."""
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    database = Path(uri.removeprefix(SQLITE))
    artifacts = (database.parent / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None
    try:
        return str(client.create_experiment(name, artifact_location=artifacts, tags=KIND_OF_EXPERIMENT))
    except MlflowException:  # another process made it in the meantime
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise


def patiently(attempt: Callable[[], str]) -> str:
    """Return what the attempt returns; try again while the store is locked or restarting. Raises InputError."""
    started, pause = time.monotonic(), 0.2
    while True:
        try:
            return attempt()
        except Exception as error:  # every back end raises its own kind
            if time.monotonic() - started > BUSY_SECONDS:
                raise AwayError(f"tracking.uri must name a store that takes runs, got: {line(error)}") from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


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
        remedy = "make it whole" if uri.startswith(SQLITE) else "start the server"
        raise AwayError(
            f"tracking.uri must name a store that answers to the end, got {uri}, which went away: "
            f"{line(error.__cause__ or error)}; {remedy} and type the same command again; nothing that is finished is "
            "repeated"
        ) from error


def ui_command(uri: str) -> str:
    """Return the line that opens the MLflow UI on a store, with this environment's own Python."""
    if uri.startswith(("http://", "https://")):
        return f"open {uri}"
    return f"{sys.executable} -m mlflow ui --host 127.0.0.1 --workers 1 --backend-store-uri {shlex.quote(uri)}"


def _reach(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS):
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise AwayError(
            f"tracking.uri must reach an MLflow server, got {uri}: {line(error)}; start the server or leave "
            "tracking.uri and MLFLOW_TRACKING_URI unset to use a local file"
        ) from error


def _make_whole(database: Path) -> None:
    """Let a new database appear with all its tables: MLflow makes them one by one, without a lock of its own."""
    from mlflow.version import VERSION

    if _is_made(database):
        return
    lock = FileLock(database.with_name(f".{database.name}.lock"))
    with lock:
        if _is_made(database):
            return
        with tempfile.TemporaryDirectory(dir=database.parent, prefix=".mlflow-") as folder:
            new = Path(folder) / database.name
            shutil.copyfile(cached("mlflow", digest(VERSION), _make_tables) / TABLES, new)
            new.replace(database)
        Path(lock.lock_file).unlink(missing_ok=True)  # who waits for it, or makes another one, finds the database


def _is_made(database: Path) -> bool:
    return database.exists() and database.stat().st_size > 0


def _make_tables(folder: Path) -> None:
    """Make a database with MLflow's tables and nothing in them, to be copied: hundreds of statements bring it there."""
    from mlflow.tracking import MlflowClient

    MlflowClient(tracking_uri=f"{SQLITE}{folder / TABLES}").search_experiments(max_results=1)
    with closing(sqlite3.connect(folder / TABLES)) as connection, connection:
        connection.execute("delete from experiments")  # its first one names the working directory


def _writable(database: Path) -> None:
    place = database if database.is_file() else database.parent
    if not (database.is_file() or place.is_dir()) or not os.access(place, os.W_OK):
        raise InputError(f"tracking.uri must be a database that can be written, got {database}; choose another folder")


def _whole(database: Path) -> None:
    """Refuse a damaged database at once: MLflow would try again for minutes."""
    try:
        if database.is_file():
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("select count(*) from sqlite_master")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in DAMAGED:
            raise InputError(
                f"tracking.uri must name an MLflow store, got {SQLITE}{database}: {line(error)}; move the file away, "
                "then python -m bertlab.sync makes it anew from the folder of the runs"
            ) from error


def line(error: BaseException) -> str:
    """Return an error's words in one line."""
    return " ".join(str(error).split())[:300]
