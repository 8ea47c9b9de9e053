"""A tracking server as teams have one: PostgreSQL behind a real `mlflow server`, in one folder, gone with one signal.

  bertlab server                                # a temporary one, removed at the end
  bertlab server folder=/srv/mlflow port=5000   # one that keeps its runs
  bertlab server folder=/srv/mlflow port=5000 host=0.0.0.0   # for other machines: asks who is there

  auth=true   asks on this machine too; beyond it it cannot be left out
  database=postgresql+psycopg2://bertlab@HOST/NAME   one that runs elsewhere, its password in PGPASSWORD

Needs PostgreSQL's programs (Debian: apt-get install postgresql) and the extra `server` of this project.
The folder is closed to other users. PostgreSQL listens on no port but on a socket inside, for whoever can read the
password in the folder. MLflow's basic authentication knows the user `admin` and the users that `admin` makes
(https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/). The first password of `admin` is that of
MLFLOW_AUTH_ADMIN_PASSWORD; without it one is made and kept in the folder. Clients log in by MLFLOW_TRACKING_USERNAME
and MLFLOW_TRACKING_PASSWORD. Passwords are sent as they are: put TLS in front where the network is not yours. Give
MLflow the names by which others reach the server: MLFLOW_SERVER_ALLOWED_HOSTS.
"""

import errno
import ipaddress
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.redact import shown
from bertlab.tracking.address import database_url

DEBIAN = Path("/usr/lib/postgresql")  # Debian's package keeps its programs here, off the PATH
START_SECONDS, STOP_SECONDS = 120.0, 20.0
LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 10
LAST_PORT = 65535
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # that MLflow knows
DEFAULTS: dict[str, Any] = {"folder": None, "port": "0", "host": LOOPBACK, "auth": None, "database": None}
FIRST = "MLFLOW_AUTH_ADMIN_PASSWORD"  # that of a new server's first user
WHO_MAY = "local all bertlab scram-sha-256\n"  # pg_hba.conf, whole: nobody over a network, nobody without the password


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, None where there is none."""
    if found := sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])):
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run the database that lies in `folder`, made on first use, and yield its URI; the password stays in its file.

    Raises InputError where PostgreSQL is not installed or cannot live in the folder.
    """
    place = programs()
    if place is None:
        raise InputError("PostgreSQL must be installed, found no initdb; apt-get install postgresql")
    person, passwords = _person(), folder / "pgpass"
    _close(folder, person)
    _make_cluster(place, folder, person)
    if not passwords.exists():  # also where an older version of this script made the cluster, which asked for none
        _set_password(place, folder / "cluster", passwords, person)
    (folder / "cluster" / "pg_hba.conf").write_text(WHO_MAY, "utf-8")
    words = [place / "postgres", "-D", folder / "cluster", "-k", folder, "-c", "listen_addresses="]
    words += ["-c", "unix_socket_permissions=0600"]
    with running(words, folder / "postgres.log", signal.SIGINT, **person) as process:
        ready = [str(place / "pg_isready"), "-q", "-h", str(folder)]
        wait_for(process, folder / "postgres.log", lambda: subprocess.run(ready, check=False).returncode == 0)
        yield f"postgresql+psycopg2://bertlab@/postgres?host={folder}&passfile={passwords}"


def _close(folder: Path, person: Mapping[str, Any]) -> None:
    """Keep all others out of the folder. Raises InputError for one that is used otherwise or belongs to another."""
    if any(folder.iterdir()) and not (folder / "cluster").is_dir():
        raise InputError(f"folder must be a new one or one that this server made, got {folder}; choose another")
    owners = {os.geteuid(), *([pwd.getpwnam(person["user"]).pw_uid] if person else [])}
    if folder.stat().st_uid not in owners:
        raise InputError(f"folder must belong to who starts the server, got {folder}; choose another")
    folder.chmod(0o700)
    if person:
        shutil.chown(folder, person["user"], person["group"])


def _make_cluster(place: Path, folder: Path, person: Mapping[str, Any]) -> None:
    """Make the database where there is none yet; nobody can log in before its rules are written."""
    if (folder / "cluster").is_dir():
        return
    options = ["-D", str(folder / "cluster"), "-U", "bertlab", "-A", "reject", "-E", "UTF8", "--locale=C"]
    made = _run([place / "initdb", *options], folder, **person)
    if made.returncode:
        raise InputError(f"folder must be one that PostgreSQL can use, got {folder}: {made.stderr.strip()}")


def _set_password(place: Path, cluster: Path, passwords: Path, person: Mapping[str, Any]) -> None:
    """Give the database's user a new password, past any server, and write it down for who may read the folder."""
    password = secrets.token_urlsafe(32)
    words = [place / "postgres", "--single", "-D", cluster, "postgres"]
    told = _run(words, cluster, input=f"alter role bertlab password '{password}'\n", **person)
    if told.returncode or "ERROR" in told.stderr:
        raise InputError(f"folder must hold a database that is not in use, got {cluster}: {told.stderr.strip()}")
    _write_secret(passwords, f"*:*:*:bertlab:{password}\n")


def _write_secret(path: Path, text: str) -> None:
    path.touch(0o600, exist_ok=False)
    path.write_text(text, "utf-8")


def _run(words: Sequence[Any], cwd: Path, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, capture_output=True, encoding="utf-8", check=False, **how)


@contextmanager
def mlflow_server(
    database: str, folder: Path, port: int = 0, host: str = LOOPBACK, *, auth: bool = False
) -> Iterator[str]:
    """Run `mlflow server` on a database, artifacts in `folder`, and yield its address; port 0: a free one.

    Raises InputError for one that would let other machines in without asking who is there.
    """
    if not auth and not is_loopback(host):
        raise InputError(f"auth must be true where host is not of this machine alone, got {host}; leave auth away")
    port = port or free_port()
    words = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    words += ["--workers", "2", "--artifacts-destination", str(folder / "artifacts")]
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}  # tracking, no more
    if auth:
        words += ["--app-name", "basic-auth"]
        own |= _asking(folder)
    env = {**os.environ, **own, "MLFLOW_BACKEND_STORE_URI": database}
    reached = LOOPBACK if is_everywhere(host) else host
    address = f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
    with running(words, folder / "mlflow.log", signal.SIGTERM, env=env) as process:
        wait_for(process, folder / "mlflow.log", lambda: _healthy(address))
        yield address


def _asking(folder: Path) -> dict[str, str]:
    """Return what MLflow's basic authentication needs; the key is kept, and a first password that is made here."""
    if find_spec("flask_wtf") is None:
        raise InputError("auth needs the package flask-wtf, found none; pip install -e '.[server]'")
    settings = folder / "basic_auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/users.db\nadmin_username = admin\n",
        "utf-8",
    )
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        FIRST: os.environ.get(FIRST) or _kept_secret(folder / "admin-password"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": _kept_secret(folder / "flask-key"),
    }


def _kept_secret(path: Path) -> str:
    if not path.exists():
        _write_secret(path, secrets.token_urlsafe(24))
    return path.read_text("utf-8")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may be anybody's
        return False


def is_everywhere(host: str) -> bool:
    """Tell whether an address stands for all that the machine has."""
    return host in ("0.0.0.0", "::")


@contextmanager
def running(words: Sequence[Any], log: Path, ending: signal.Signals, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program and all that it starts; end it with the signal that it takes for a request to stop."""
    with log.open("ab") as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **how)
    try:
        yield process
    finally:
        process.send_signal(ending)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):  # as it should be: nothing of its session is left
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(
    process: subprocess.Popen[bytes], log: Path, answers: Callable[[], bool], seconds: float = START_SECONDS
) -> None:
    """Wait until a program answers. Raises RuntimeError with the end of its log when it ended or stays silent."""
    start = time.monotonic()
    while not answers():
        if process.poll() is not None or time.monotonic() - start > seconds:
            raise RuntimeError(f"{log.stem} does not answer; the end of {log}:\n{log.read_text('utf-8')[-2000:]}")
        time.sleep(0.2)


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _person() -> Mapping[str, Any]:
    """Say who runs PostgreSQL, as arguments of Popen: it refuses root, so the user that its package makes."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _terminate(signum: int, _: object) -> None:
    raise SystemExit(0)


def _port(given: str) -> int:
    if not given.isdecimal() or int(given) > LAST_PORT:
        raise InputError(
            f"port must lie in [0, {LAST_PORT}], got {given}; choose for example 5000, or 0 for a free one"
        )
    return int(given)


def check_free(host: str, port: int) -> None:
    """Refuse an address that this machine lacks or that is in use. Raises InputError."""
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
    """Refuse what is no address of a database, or of one that does not answer. Raises InputError."""
    url = database_url(uri)
    if url is None or url.get_backend_name() not in DATABASES:
        raise InputError(f"database must be an address of {', '.join(DATABASES)}, got {shown(uri)}; correct it")
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    patience = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() in ("postgresql", "mysql") else {}
    try:
        create_engine(url, connect_args=patience).connect().close()
    except (SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise InputError(
            f"database must answer, got {shown(uri)}: {reason}; start it, or correct the address"
        ) from error


def _folder(given: str) -> Path:
    folder = Path(given).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = str(error.strerror).lower()
        raise InputError(f"folder must be one that can be made, got {given}: {reason}; choose another") from error
    return folder


def _auth(given: str | None, host: str) -> bool:
    if given not in (None, "true", "false"):
        raise InputError(f"auth must be true or false, got {given}; choose one")
    return not is_loopback(host) if given is None else given == "true"


def main(words: Sequence[str]) -> None:
    """Start both, say where, and stop both at an interrupt or a request to terminate."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__, words)
        port, host, auth = _port(arguments["port"]), arguments["host"], _auth(arguments["auth"], arguments["host"])
        check_free(host, port)
        given = arguments["database"]
        if given:
            check_database(given)
        signal.signal(signal.SIGTERM, _terminate)
        os.umask(0o077)
        with tempfile.TemporaryDirectory() as temporary:
            folder = _folder(arguments["folder"] or temporary)
            with (
                nullcontext(given) if given else postgres(folder) as database,
                mlflow_server(database, folder, port, host, auth=auth) as address,
            ):
                if auth and not os.environ.get(FIRST):
                    print(f"the user is admin, the first password lies in {folder / 'admin-password'}")  # noqa: T201
                print(f"export MLFLOW_TRACKING_URI={address}", flush=True)  # noqa: T201
                signal.pause()
