"""The arguments of `bertlab server`, checked before anything starts."""

import errno
import socket
from pathlib import Path

from bertlab.commands.server.tracking import is_loopback
from bertlab.config.errors import InputError
from bertlab.config.redact import shown
from bertlab.tracking.address import database_url

CONNECT_SECONDS = 10
LAST_PORT = 65535
UTF8 = "UTF8"  # PostgreSQL's name; with another encoding MLflow fails at the first non-ASCII letter
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # databases that MLflow supports


def read_port(given: str) -> int:
    """Return the port; 0 means a free one. Raises InputError."""
    if not given.isdecimal() or int(given) > LAST_PORT:
        raise InputError(
            f"port must lie in [0, {LAST_PORT}], got {given}; choose for example 5000, or 0 for a free one"
        )
    return int(given)


def check_free(host: str, port: int) -> None:
    """Check that this machine has the address and that it is free. Raises InputError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as asked:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            asked.bind(address)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            fault = f"port must be free and allowed, got {port}"
        else:
            fault = f"host must be an address of this machine, got {host}"
        raise InputError(f"{fault}: {str(error.strerror).lower()}; choose another") from error


def check_database(uri: str) -> None:
    """Check the address of a database, and that it answers. Raises InputError."""
    url = database_url(uri)
    if url is None or url.get_backend_name() not in DATABASES:
        raise InputError(f"database must be an address of {', '.join(DATABASES)}, got {shown(uri)}; correct it")
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    patience = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() in ("postgresql", "mysql") else {}
    try:
        with create_engine(url, connect_args=patience).connect() as database:
            postgres = url.get_backend_name() == "postgresql"
            letters = database.exec_driver_sql("show server_encoding").scalar() if postgres else UTF8
    except (SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise InputError(
            f"database must answer, got {shown(uri)}: {reason}; start it, or correct the address"
        ) from error
    if letters != UTF8:
        raise InputError(f"database must keep all letters ({UTF8}), got {letters} in {shown(uri)}; create one with it")


def read_folder(given: str) -> Path:
    """Return the folder; create it if needed. Raises InputError."""
    folder = Path(given).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = str(error.strerror).lower()
        raise InputError(f"folder must be one that can be created, got {given}: {reason}; choose another") from error
    return folder


def read_auth(given: str | None, host: str) -> bool:
    """Return whether the server needs a login; always true if other machines can reach it. Raises InputError."""
    if given not in (None, "true", "false"):
        raise InputError(f"auth must be true or false, got {given}; choose one")
    return not is_loopback(host) if given is None else given == "true"
