"""The address of a store, and the pages of its UI.

Enters: the address from the configuration or the environment. Leaves: an absolute address, parsed by the library that
opens it and shown without user and password; links to an experiment's runs. MLflow 3 opens an experiment on its traces,
which training does not have, unless the link says that it is about machine learning.

Imports nothing heavy; SQLAlchemy's parser is imported only for the address of a database.
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
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"  # MLflow's variables of the login to a server
KEPT = "BERTLAB_TRACKING_URI"  # address with a password, from a command line
SERVED = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # MLflow can create its tables in these
SPECIAL = str.maketrans({"%": "%25", "?": "%3F"})  # only these: MLflow makes folders of other quoted characters
FILE = "mlflow.db"  # in the working directory, the default
KIND_OF_EXPERIMENT = {
    "mlflow.experimentKind": "custom_model_development"
}  # as MLflow's UI sets it for "Machine learning"
TRAINING = "workflowType=machine_learning"
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` serves by default


@dataclass(frozen=True)
class Address:
    """Address of a store. `str` of it may be shown; `uri` is for MLflow and may contain a password."""

    uri: str
    file: Path | None = None  # of an SQLite database
    login: Mapping[str, str] | None = None  # to a server, by MLflow's own variables

    def __str__(self) -> str:
        return shown(self.uri)

    @property
    def is_served(self) -> bool:
        """Whether it is the address of a server."""
        return _scheme(self.uri) in SERVED


def chosen(uri: str | None) -> str:
    """Return the absolute address of a store: the one given, else the environment's, else that of a file here.

    The store stays the same from another working directory. Raises InputError.
    """
    if given := str(uri or os.environ.get(VARIABLE) or ""):
        file = address(given).file
        return given if file is None or file.is_absolute() else _with_file(given, file.resolve())
    return f"sqlite:///{str(Path.cwd() / FILE).translate(SPECIAL)}"


def address(uri: str) -> Address:
    """Parse an address. Raises InputError for a database that is not kept, such as one in memory."""
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
    """Return a word of a command line; an address that contains a password is moved to the environment.

    The command of a launcher's workers then names the variable. A word that already does is returned unchanged.
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
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        return None


def _scheme(uri: str) -> str:
    return uri.partition("://")[0].lower()


def _server(uri: str) -> Address:
    """Split user and password off the address of a server."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:  # brackets without an address
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
    """Return the address of an experiment's runs on a server; None: in the UI of this machine."""
    return f"{(server or LOCAL).rstrip('/')}/#/experiments/{experiment_id}?{TRAINING}"


def charts(server: str | None, experiment_id: str) -> str:
    """Return the address of the charts of an experiment's runs, the best first, without the sweeps above them."""
    runs = quote(f"tags.`{KIND}` = 'run'")
    order = (
        f"orderByKey={quote(f'metrics.`{OUTCOME}`')}&orderByAsc=true"  # sorted by time, sweeps would hide their runs
    )
    view = f"{TRAINING}&compareRunsMode=CHART&searchFilter={runs}&{order}"
    return f"{(server or LOCAL).rstrip('/')}/#/experiments/{experiment_id}/runs?{view}"


def ui_command(uri: str) -> str:
    """Return the command that opens the MLflow UI on a store, with the Python of this environment."""
    store = address(uri)
    if store.is_served:
        return f"open {store}"
    command = (
        f"{sys.executable} -m mlflow ui --host 127.0.0.1 --workers 1 --backend-store-uri {shlex.quote(str(store))}"
    )
    return command if str(store) == store.uri else f"{command}  (with user and password for {HIDDEN})"
