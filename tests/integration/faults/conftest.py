"""A real `mlflow server` on an SQLite file, and a proxy in front of it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from bertlab.commands.server.processes import free_port
from bertlab.commands.server.tracking import mlflow_server
from tests.integration.conftest import Store
from tests.integration.faults.proxy import Fault, Proxy, proxy

Behind = Callable[[Fault], AbstractContextManager[Proxy]]


@pytest.fixture(scope="session")
def plain_server() -> Iterator[Store]:
    """A server that needs no PostgreSQL."""
    with tempfile.TemporaryDirectory() as name:
        database = f"sqlite:///{Path(name) / 'mlflow.db'}"
        with mlflow_server(database, Path(name), free_port()) as address:
            yield Store(address, database)


@pytest.fixture
def behind(plain_server: Store) -> Behind:
    """Put a proxy with a fault in front of the server."""
    return partial(proxy, int(plain_server.uri.rpartition(":")[2]))
