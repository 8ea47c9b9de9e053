"""The address of a store, and the pages of its UI.

Enters: what the configuration or the environment says. Leaves: an absolute address, parsed by the library that opens
it and shown without what lets one in; links to an experiment's runs. MLflow 3 opens an experiment on traces, of which
training has none, unless the link says that it is about machine learning.

Imports nothing heavy; SQLAlchemy's parser only for the address of a database.
"""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from bertlab.config.errors import InputError
from bertlab.config.redact import HIDDEN, shown
from bertlab.tracking.description import KIND, OUTCOME

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

VARIABLE = "MLFLOW_TRACKING_URI"
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"  # MLflow lets a server know them by these
KEPT = "BERTLAB_TRACKING_URI"  # what a command line said of a store that asks for a password
SERVED = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # whose tables MLflow knows how to make
SPECIAL = str.maketrans({"%": "%25", "?": "%3F"})  # no more: MLflow makes folders of what else is quoted
FILE = "mlflow.db"  # in the working directory, where nothing else is said
KIND_OF_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # what its UI sets for "Machine learning"
TRAINING = "workflowType=machine_learning"
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` serves by default


@dataclass(frozen=True)
class Address:
    """Where a store is. `str` of it is what may be shown; `uri` is what MLflow is given."""

    uri: str
    file: Path | None = None  # of an SQLite database
    login: Mapping[str, str] | None = None  # to a server, by MLflow's own variables

    def __str__(self) -> str:
        return shown(self.uri)

    @property
    def is_served(self) -> bool:
        """Whether a server answers there."""
        return _scheme(self.uri) in SERVED


def chosen(uri: str | None) -> str:
    """Return the absolute address of a store: the one given, else the environment's, else that of a file here.

    Whoever takes it to another folder finds the same store. Raises InputError.
    """
    if given := str(uri or os.environ.get(VARIABLE) or ""):
        file = address(given).file
        return given if file is None or file.is_absolute() else _with_file(given, file.resolve())
    return f"sqlite:///{str(Path.cwd() / FILE).translate(SPECIAL)}"


def address(uri: str) -> Address:
    """Take an address apart. Raises InputError for a database that would not stay."""
    scheme = _scheme(uri)
    if scheme in SERVED:
        return _server(uri)
    url = database_url(uri) if scheme.partition("+")[0] == "sqlite" else None
    if url is None or (url.database or "").startswith("file:"):  # SQLite's own kind of address
        return Address(uri)
    if url.database in (None, "", ":memory:"):
        raise InputError(
            f"tracking.uri must name a database that stays, got {shown(uri)}; name its file, or leave it out and set "
            "tracking.offline=true"
        )
    return Address(uri, Path(str(url.database)))


def without_login(word: str) -> str:
    """Return a word of a command line; the address of a store that holds a password moves to the environment.

    What a launcher writes for its workers then names the variable. The word is as typed where it already does.
    """
    key, _, value = word.partition("=")
    if key.lstrip("+") != "tracking.uri" or "${" in value:
        return word
    value = value.strip("'\"")
    if shown(value) == value:
        return word
    os.environ[KEPT] = value
    return f"{key}=${{oc.env:{KEPT}}}"


def database_url(uri: str) -> "URL | None":
    """Return the address of a database as SQLAlchemy reads it, None for an address of another kind."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(uri)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        return None


def _scheme(uri: str) -> str:
    return uri.partition("://")[0].lower()


def _server(uri: str) -> Address:
    """Take the user and the password out of the address of a server."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:  # brackets that hold no address
        raise InputError(f"tracking.uri must name an MLflow store, got {shown(uri)}: {error}; correct it") from error
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    login = {USER: unquote(user), PASSWORD: unquote(password)} if userinfo else None
    return Address(parts._replace(netloc=host).geturl(), login=login)


def _with_file(uri: str, file: Path) -> str:
    """Return the address of an SQLite database with another file."""
    driver, query = uri.partition("://")[0], uri.partition("?")[2]
    return f"{driver}:///{str(file).translate(SPECIAL)}{'?' if query else ''}{query}"


def page(server: str | None, experiment_id: str) -> str:
    """Return the address of an experiment's runs on a server; None: on the UI of this machine."""
    return f"{(server or LOCAL).rstrip('/')}/#/experiments/{experiment_id}?{TRAINING}"


def charts(server: str | None, experiment_id: str) -> str:
    """Return the address of the charts of an experiment's runs, the best first, without the sweeps above them."""
    runs = quote(f"tags.`{KIND}` = 'run'")
    order = f"orderByKey={quote(f'metrics.`{OUTCOME}`')}&orderByAsc=true"  # by time, sweeps would hide their runs
    view = f"{TRAINING}&compareRunsMode=CHART&searchFilter={runs}&{order}"
    return f"{(server or LOCAL).rstrip('/')}/#/experiments/{experiment_id}/runs?{view}"


def ui_command(uri: str) -> str:
    """Return the line that opens the MLflow UI on a store, with this environment's own Python."""
    store = address(uri)
    if store.is_served:
        return f"open {store}"
    command = (
        f"{sys.executable} -m mlflow ui --host 127.0.0.1 --workers 1 --backend-store-uri {shlex.quote(str(store))}"
    )
    return command if str(store) == store.uri else f"{command}  (with user and password for {HIDDEN})"
