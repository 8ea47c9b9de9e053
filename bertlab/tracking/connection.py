"""A connection: the address of a store -> a client of a store that answers; other stores are refused at once."""

import logging
import os
import shlex
import shutil
import sqlite3
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from bertlab.config.cache import cached, digest
from bertlab.config.errors import InputError
from bertlab.config.importing import import_heavy
from bertlab.tracking.address import (
    DATABASES,
    KIND_OF_EXPERIMENT,
    PASSWORD,
    SPECIAL,
    USER,
    Address,
    address,
    chosen,
    database_url,
)
from bertlab.tracking.retry import AwayError, line

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient
    from sqlalchemy.engine import URL, Engine

REACH_SECONDS = 5  # a store that does not answer within this time is regarded as absent
TABLES = "tables.db"  # in the cache: a database with MLflow's tables
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
UNKNOWN_USER = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
LONGEST_NAME = 500  # characters of an experiment's name


def connect(uri: str) -> "MlflowClient":
    """Return a client of a store that answers. Raises InputError at once where none does."""
    store = address(uri)
    if store.is_served:
        _reach(store)
    elif (url := database_url(uri)) and url.get_backend_name() in DATABASES:
        engine = _engine(store, url)
        if store.file:
            _writable(store.file)
            _whole(store)
        else:
            _answers(store, engine)
    os.environ.update(store.login or {})
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the upload thread retries by itself
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a run ends with our own lines
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a report fetches one file of every run
    import_heavy("mlflow.tracking")
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it logs the creation of its tables
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it logs each attempt; we log the result
    try:
        if store.file:
            _make_whole(store.file)
        with _no_other_folder(store):
            client = MlflowClient(tracking_uri=store.uri)
            client.search_experiments(max_results=1)
    except InputError:  # from the cache
        raise
    except Exception as error:  # each backend raises its own types
        if getattr(error, "error_code", "") in UNKNOWN_USER:
            raise InputError(
                f"tracking.uri must name a store that lets this user in, got {store}: {line(error)}; set {USER} and "
                f"{PASSWORD}, or write user:password@ before its host"
            ) from error
        raise InputError(f"tracking.uri must name an MLflow store, got {store}: {line(error)}") from error
    return client


def is_there(uri: str) -> bool:
    """Return whether a store exists; only a local database can be absent."""
    file = address(uri).file
    return file is None or file.is_file()


def look(uri: str) -> None:
    """Raise InputError if the database of a store could not be created. Does not create it."""
    if file := address(uri).file:
        _writable(file)


def check_experiment(client: "MlflowClient", uri: str, name: str) -> "Experiment | None":
    """Return an experiment, None if it does not exist yet. Raises InputError for a deleted one."""
    found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage == "active":
        return found
    command = f"{sys.executable} -m mlflow experiments restore --experiment-id {found.experiment_id}"
    raise InputError(
        f"tracking.experiment must not be deleted, got {name!r} (id {found.experiment_id}); choose another name, or "
        f"type MLFLOW_TRACKING_URI={shlex.quote(str(address(uri)))} {command}"
    )


def experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    """Return the experiment's id; created at first use, next to the database if that is a local file."""
    from mlflow.exceptions import MlflowException

    if found := check_experiment(client, uri, name):
        return str(found.experiment_id)
    file = address(uri).file
    artifacts = (file.parent / "mlartifacts").as_uri() if file else None
    try:
        return str(client.create_experiment(name, artifact_location=artifacts, tags=KIND_OF_EXPERIMENT))
    except MlflowException:  # another process made it in the meantime
        if found := check_experiment(client, uri, name):
            return str(found.experiment_id)
        raise


def _reach(store: Address) -> None:
    try:
        with urllib.request.urlopen(f"{store.uri.rstrip('/')}/health", timeout=REACH_SECONDS):
            pass
    except (urllib.error.URLError, OSError, ValueError, HTTPException) as error:
        if getattr(error, "code", 0) in (401, 403):  # MLflow has the password, and reports what is wrong with it
            return
        raise AwayError(
            f"tracking.uri must reach an MLflow server, got {store}: {line(error)}; start the server or leave "
            "tracking.uri and MLFLOW_TRACKING_URI unset to use a local file"
        ) from error


def _engine(store: Address, url: "URL") -> "Engine":
    """Return the engine of a database, not connected yet. Raises InputError if its driver is not installed."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError
    from sqlalchemy.pool import NullPool

    patience = {"connect_timeout": REACH_SECONDS} if url.get_backend_name() in ("postgresql", "mysql") else {}
    try:
        return create_engine(url, poolclass=NullPool, connect_args=patience)
    except (ModuleNotFoundError, ArgumentError) as error:
        raise InputError(
            f"tracking.uri must name a database whose driver is installed, got {store}: {line(error)}; install it or "
            "name another driver, as in postgresql+psycopg2://"
        ) from error


def _answers(store: Address, engine: "Engine") -> None:
    """Connect to a database once: MLflow would retry for minutes."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine.connect().close()
    except (SQLAlchemyError, OSError) as error:
        raise AwayError(
            f"tracking.uri must name a database that lets MLflow in, got {store}: "
            f"{line(getattr(error, 'orig', None) or error)}; start it or correct the address"
        ) from error


@contextmanager
def _no_other_folder(store: Address) -> Iterator[None]:
    """Remove the folder that MLflow creates for a path with % or ?: the one that the encoded address spells."""
    quoted = Path(store.uri.partition(":///")[2].partition("?")[0]).parent
    made = [folder for folder in (quoted, *quoted.parents) if store.file and not folder.exists()]
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def _make_whole(database: Path) -> None:
    """Create a new database with all its tables at once: MLflow creates them one by one, without a lock."""
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
        Path(lock.lock_file).unlink(missing_ok=True)  # whoever waits for it or makes another one finds the database


def _is_made(database: Path) -> bool:
    return database.exists() and database.stat().st_size > 0


def _make_tables(folder: Path) -> None:
    """Create a database with empty MLflow tables, to be copied: creating one takes hundreds of statements."""
    from mlflow.tracking import MlflowClient

    store = address(chosen(f"sqlite:///{str(folder / TABLES).translate(SPECIAL)}"))
    with _no_other_folder(store):
        MlflowClient(tracking_uri=store.uri).search_experiments(max_results=1)
    with closing(sqlite3.connect(folder / TABLES)) as connection, connection:
        connection.execute("delete from experiments")  # the default experiment contains the working directory


def _writable(database: Path) -> None:
    """Refuse a file that SQLite cannot write, or a folder in which it cannot write its journal."""
    fault = ""
    if database.is_dir():
        fault = "it is a folder"
    elif not database.parent.is_dir():
        fault = "there is no such folder"
    elif not os.access(database.parent, os.W_OK) or (database.exists() and not os.access(database, os.W_OK)):
        fault = "it is read-only"
    if fault:
        raise InputError(
            f"tracking.uri must be a database that can be written, got {database}: {fault}; choose another file or "
            "folder"
        )


def _whole(store: Address) -> None:
    """Refuse a damaged database at once: MLflow would retry for minutes."""
    assert store.file is not None
    try:
        if store.file.is_file():
            with closing(sqlite3.connect(store.file)) as connection:
                connection.execute("select count(*) from sqlite_master")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in DAMAGED:
            raise InputError(
                f"tracking.uri must name an MLflow store, got {store}: {line(error)}; move the file away, "
                "then bertlab sync makes it again from the folder of the runs"
            ) from error
