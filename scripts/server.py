"""A tracking server as teams have one: PostgreSQL behind a real `mlflow server`, in one folder, gone with one signal.

    python scripts/server.py                             # a temporary one, removed at the end
    python scripts/server.py folder=/srv/mlflow port=5000   # one that keeps its runs

Needs PostgreSQL's programs (Debian: apt-get install postgresql) and its driver, psycopg2, which bertlab[dev] has.
PostgreSQL listens on a socket inside the folder, on no port; MLflow listens on 127.0.0.1.
"""

import os
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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bertlab.arguments import parse
from bertlab.errors import InputError, whole_number
from bertlab.explain import one_line_errors

DEBIAN = Path("/usr/lib/postgresql")  # Debian's package keeps its programs here, off the PATH
START_SECONDS, STOP_SECONDS = 120.0, 20.0
DEFAULTS: dict[str, Any] = {"folder": None, "port": 0}


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, None where there is none."""
    if found := sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])):
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run the database that lies in `folder`, made on first use, and yield its URI.

    Raises InputError where PostgreSQL is not installed or cannot live in the folder.
    """
    place = programs()
    if place is None:
        raise InputError("PostgreSQL must be installed, found no initdb; apt-get install postgresql")
    cluster, person = folder / "cluster", _person()
    if not cluster.is_dir():
        if person:
            shutil.chown(folder, person["user"], person["group"])
        options = ["-D", str(cluster), "-U", "bertlab", "-A", "trust", "-E", "UTF8", "--locale=C"]
        made = subprocess.run(
            [place / "initdb", *options], cwd=folder, capture_output=True, text=True, check=False, **person
        )
        if made.returncode:
            raise InputError(f"folder must be one that PostgreSQL can use, got {folder}: {made.stderr.strip()}")
    words = [place / "postgres", "-D", cluster, "-k", folder, "-c", "listen_addresses="]
    with running(words, folder / "postgres.log", signal.SIGINT, **person) as process:
        ready = [str(place / "pg_isready"), "-q", "-h", str(folder)]
        wait_for(process, folder / "postgres.log", lambda: subprocess.run(ready, check=False).returncode == 0)
        yield f"postgresql+psycopg2://bertlab@/postgres?host={folder}"


@contextmanager
def mlflow_server(database: str, folder: Path, port: int = 0) -> Iterator[str]:
    """Run `mlflow server` on a database, artifacts in `folder`, and yield its address; port 0: a free one."""
    address = f"http://127.0.0.1:{port or free_port()}"
    words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    words += ["--workers", "2", "--artifacts-destination", str(folder / "artifacts")]
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}  # tracking, no more
    env = {**os.environ, **own, "MLFLOW_BACKEND_STORE_URI": database}
    with running(words, folder / "mlflow.log", signal.SIGTERM, env=env) as process:
        wait_for(process, folder / "mlflow.log", lambda: _healthy(address))
        yield address


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


def wait_for(process: subprocess.Popen[bytes], log: Path, answers: Callable[[], bool]) -> None:
    """Wait until a program answers. Raises RuntimeError with the end of its log when it ended or stays silent."""
    start = time.monotonic()
    while not answers():
        if process.poll() is not None or time.monotonic() - start > START_SECONDS:
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


def main() -> None:
    """Start both, say where, and stop both at an interrupt or a request to terminate."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__)
        port = whole_number("port", int(arguments["port"]), 0)
        signal.signal(signal.SIGTERM, _terminate)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(arguments["folder"] or temporary).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            with postgres(folder) as database, mlflow_server(database, folder, port) as address:
                print(f"export MLFLOW_TRACKING_URI={address}", flush=True)  # noqa: T201
                signal.pause()


if __name__ == "__main__":
    main()
