"""Stores for many processes: a fresh SQLite file for each test, and one `mlflow server` on PostgreSQL for all."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bertlab.commands.server.database import postgres, programs
from bertlab.commands.server.processes import free_port
from bertlab.commands.server.tracking import mlflow_server

ROOT = Path(__file__).parents[2]
Row = tuple[Any, ...]


@dataclass
class Store:
    """A store for runs, and direct access to its tables without MLflow."""

    uri: str  # for bertlab
    database: str  # for SQLAlchemy

    def rows(self, query: str, **values: Any) -> list[Row]:
        """Return what a query gives."""
        engine = create_engine(self.database)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query), values)]
        finally:
            engine.dispose()


@dataclass
class Server(Store):
    """A store behind a server that can be stopped and started again, at the same address."""

    folder: Path
    _up: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._up.enter_context(mlflow_server(self.database, self.folder, int(self.uri.rpartition(":")[2])))

    def stop(self) -> None:
        """Stop it; the database stays."""
        self._up.close()


@pytest.fixture(scope="session", autouse=True)
def _stop_what_was_started() -> Iterator[None]:
    """Treat SIGTERM as an interrupt, so that fixtures end and no server keeps running."""
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real `mlflow server` on PostgreSQL, in a folder that PostgreSQL's user can read."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with tempfile.TemporaryDirectory() as name, postgres(Path(name)) as database:
        started = Server(f"http://127.0.0.1:{free_port()}", database, Path(name))
        started.start()
        try:
            yield started
        finally:
            started.stop()


@pytest.fixture
def sqlite(tmp_path: Path) -> Store:
    """A database that does not exist yet: the first process creates it."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    return Store(uri, uri)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python programs in the test's folder, one thread each; none outlives the test."""
    places = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places, "MLFLOW_DISABLE_TELEMETRY": "true"}
    started: list[subprocess.Popen[str]] = []

    def start(*words: Any) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen([sys.executable, *map(str, words)], cwd=tmp_path, env=env, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
