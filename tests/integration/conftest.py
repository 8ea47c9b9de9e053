"""Stores for many processes: a fresh SQLite file for each test, and one `mlflow server` on PostgreSQL for all."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bertlab.commands.server.database import postgres, programs
from bertlab.commands.server.tracking import mlflow_server
from tests.integration.warm import Program, warm_python

ROOT = Path(__file__).parents[2]
Row = tuple[Any, ...]
Spawn = Callable[..., Program]


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
    """A store behind a server, with the folder of its artifacts."""

    folder: Path

    @property
    def port(self) -> int:
        return int(self.uri.rpartition(":")[2])


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
    with (
        tempfile.TemporaryDirectory() as name,
        postgres(Path(name)) as database,
        mlflow_server(database, Path(name)) as address,
    ):
        yield Server(address, database, Path(name))


@pytest.fixture
def sqlite(tmp_path: Path) -> Store:
    """A database that does not exist yet: the first process creates it."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    return Store(uri, uri)


@pytest.fixture(scope="session")
def warm() -> Iterator[Path]:
    """A Python that has imported what runs need; the path where it is asked for programs."""
    with tempfile.TemporaryDirectory() as name, warm_python(Path(name) / "warm", environment()):
        yield Path(name) / "warm"


def environment() -> dict[str, str]:
    """Return the environment of programs: one thread each."""
    places = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places, "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture
def spawn(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, warm: Path) -> Iterator[Spawn]:
    """Start Python programs in the test's folder; none outlives the test."""
    started: list[Program] = []
    said = tmp_path_factory.mktemp("said")

    def start(*words: Any) -> Program:
        started.append(Program(warm, words, tmp_path, environment(), said / str(len(started))))
        return started[-1]

    yield start
    for program in started:
        program.kill()
        program.wait()
