"""Access to the team's server: no other user of this machine, and no other machine without permission."""

import os
import shutil
import stat
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import create_engine, text

from bertlab.commands.server.arguments import check_database
from bertlab.commands.server.database import postgres, programs
from bertlab.commands.server.tracking import is_loopback, mlflow_server
from bertlab.config.errors import InputError

needs_postgres = pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in which a database runs."""
    with tempfile.TemporaryDirectory() as name, postgres(Path(name)):
        yield Path(name)


def psql(folder: Path, role: str = "bertlab", **how: Any) -> subprocess.CompletedProcess[str]:
    place = programs()
    assert place is not None
    words = [place / "psql", "-w", "-h", folder, "-U", role, "-d", "postgres", "-Atc", "select 6 * 7"]
    return subprocess.run(words, capture_output=True, encoding="utf-8", check=False, cwd="/", **how)


def password(folder: Path) -> str:
    return (folder / "pgpass").read_text("utf-8").strip().rpartition(":")[2]


@needs_postgres
@pytest.mark.integration
def test_who_may_read_the_password_is_let_in(folder: Path) -> None:
    assert psql(folder, env={"PGPASSFILE": str(folder / "pgpass")}).stdout == "42\n"


@needs_postgres
@pytest.mark.integration
@pytest.mark.parametrize("role", ["bertlab", "postgres", "root"])
def test_nobody_is_let_in_without_the_password(folder: Path, role: str) -> None:
    refused = psql(folder, role, env={"PGPASSFILE": os.devnull})
    assert refused.returncode != 0
    assert "42" not in refused.stdout


@needs_root
@needs_postgres
@pytest.mark.integration
def test_another_user_of_the_machine_does_not_even_reach_the_socket(folder: Path) -> None:
    """Not even with the right password: the folder is closed, and so is the socket if the folder is open."""
    own = {"PGPASSWORD": password(folder)}
    other: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": [], "env": own}
    assert psql(folder, env=own).stdout == "42\n"
    assert "Permission denied" in psql(folder, **other).stderr
    folder.chmod(0o755)
    try:
        assert "Permission denied" in psql(folder, **other).stderr
    finally:
        folder.chmod(0o700)


@needs_postgres
@pytest.mark.integration
def test_only_the_owner_can_read_the_folder(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "pgpass").stat().st_mode) == 0o600
    assert stat.S_IMODE(next(folder.glob(".s.PGSQL.*[0-9]")).stat().st_mode) == 0o600


@needs_postgres
@pytest.mark.integration
def test_a_database_that_asked_for_no_password_is_closed() -> None:
    place = programs()
    assert place is not None
    person: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if person:
            shutil.chown(folder, **person)
        words = [place / "initdb", "-D", folder / "cluster", "-U", "bertlab", "-A", "trust"]
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **person)
        folder.chmod(0o755)
        with postgres(folder) as uri:
            assert psql(folder, env={"PGPASSFILE": os.devnull}).returncode != 0
            with create_engine(uri).connect() as connection:
                assert connection.execute(text("select 6 * 7")).scalar() == 42
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@needs_postgres
def test_a_folder_that_is_used_otherwise_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(InputError, match="folder must be a new one or one that this server made"), postgres(tmp_path):
        pass
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "127.0.0.1.example.org"])
def test_other_machines_are_not_let_in_unasked(tmp_path: Path, host: str) -> None:
    with (
        pytest.raises(InputError, match=f"auth must be true if other machines can reach host, got {host}"),
        mlflow_server("sqlite://", tmp_path, host=host),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_addresses_are_recognised(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.integration
def test_a_server_that_asks_lets_in_the_user_it_knows(tmp_path: Path) -> None:
    def status(address: str, given: str | None) -> int:
        header = {"Authorization": f"Basic {b64encode(f'admin:{given}'.encode()).decode()}"} if given else {}
        try:
            with urlopen(
                Request(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0", headers=header)
            ) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code

    with mlflow_server(f"sqlite:///{tmp_path}/mlflow.db", tmp_path, host="0.0.0.0", auth=True) as address:
        secret = tmp_path / "admin-password"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert status(address, secret.read_text("utf-8")) == 200
        assert status(address, None) == 401
        assert status(address, "password1234") == 401


@needs_postgres
@pytest.mark.integration
def test_a_database_that_does_not_keep_all_letters_is_refused(folder: Path) -> None:
    address = f"postgresql+psycopg2://bertlab@/{{}}?host={folder}&passfile={folder / 'pgpass'}"
    check_database(address.format("postgres"))
    with create_engine(address.format("postgres"), isolation_level="AUTOCOMMIT").connect() as database:
        database.execute(text("create database ascii encoding 'SQL_ASCII' template template0"))
    with pytest.raises(InputError, match=r"^database must keep all letters \(UTF8\), got SQL_ASCII in "):
        check_database(address.format("ascii"))
