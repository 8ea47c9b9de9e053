"""`mlflow server` on a database: for this machine only, or with a login."""

import ipaddress
import os
import secrets
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from bertlab.commands.server.processes import START_SECONDS, free_port, running, wait_for, write_secret
from bertlab.config.errors import InputError

LOOPBACK = "127.0.0.1"
# Give its two worker processes as long to start as the server has. uvicorn ends a worker that is silent for 5 s and
# starts it again. On a busy machine a worker needs longer to import MLflow, so it would never start.
PATIENCE = {"UVICORN_TIMEOUT_WORKER_HEALTHCHECK": f"{START_SECONDS:.0f}"}
FIRST = "MLFLOW_AUTH_ADMIN_PASSWORD"  # first password of a new server


@contextmanager
def mlflow_server(
    database: str, folder: Path, port: int = 0, host: str = LOOPBACK, *, auth: bool = False
) -> Iterator[str]:
    """Run `mlflow server` on a database, with artifacts in `folder`, and yield its address; port 0 means a free port.

    Raises InputError if other machines could enter without a login.
    """
    if not auth and not is_loopback(host):
        raise InputError(f"auth must be true if other machines can reach host, got {host}; leave auth out")
    port = port or free_port()
    words = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    words += ["--workers", "2", "--artifacts-destination", str(folder / "artifacts")]
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}  # tracking only
    own |= PATIENCE
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
    """Return the settings of MLflow's basic authentication. The key and a generated first password are kept."""
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
        write_secret(path, secrets.token_urlsafe(24))
    return path.read_text("utf-8")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name may mean any machine
        return False


def is_everywhere(host: str) -> bool:
    """Return whether an address means all interfaces of the machine."""
    return host in ("0.0.0.0", "::")


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
