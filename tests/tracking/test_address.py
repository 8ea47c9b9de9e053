"""The address of a store: any name of its folder works, and an impossible address is an error at once."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bertlab.config.errors import InputError
from bertlab.tracking.address import KEPT, PASSWORD, USER, address, chosen, ui_command, without_login
from bertlab.tracking.description import Description
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.retry import is_passing, patiently

NAMES = ("a?b%3Fc", "a b#ä 中", "a%20b&b=c;d", "100% it's", "+a@b:c")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("uri", [None, "sqlite:///mlflow.db"])
def test_a_store_is_in_the_folder_of_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, description: Description, name: str, uri: str | None
) -> None:
    folder = tmp_path / "top" / name
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if uri and "?" in name:
        uri = "sqlite:///./mlflow.db"
    tracker = Tracker(uri=uri, experiment="own")
    monkeypatch.chdir("/")
    with tracker.run(description):
        pass
    assert [path.name for path in (tmp_path / "top").iterdir()] == [name]
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "mlartifacts"}
    assert len(list(folder.glob("mlartifacts/*/artifacts/config.yaml"))) == 1
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        assert database.execute("select status from runs").fetchall() == [("FINISHED",)]
    assert address(tracker.uri).file == folder / "mlflow.db"
    assert chosen(tracker.uri) == tracker.uri


def test_other_parts_of_an_address_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert chosen("sqlite+pysqlite:///x.db?timeout=9") == f"sqlite+pysqlite:///{tmp_path}/x.db?timeout=9"
    assert chosen("postgresql://u:p@h/db") == "postgresql://u:p@h/db"
    assert chosen("http://h:5000/sub") == "http://h:5000/sub"


def test_a_login_is_taken_out_of_the_address_of_a_server() -> None:
    store = address("https://me%40home:p%2Fw%3A@host:5000/sub")
    assert (store.uri, str(store)) == ("https://host:5000/sub", "https://host:5000/sub")
    assert store.login == {USER: "me@home", PASSWORD: "p/w:"}
    assert ui_command("http://u:S3cret@host") == "open http://host"
    command = ui_command("postgresql://u:S3cret@host/db")
    assert command.endswith("--backend-store-uri 'postgresql://***@host/db'  (with user and password for ***)")


def test_a_password_of_a_command_line_moves_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEPT, raising=False)
    for word in ("tracking.uri=sqlite:///x.db", "tracking.uri=x://u:${oc.env:PW}@h", "data.path=x://u:p@h"):
        assert without_login(word) == word
    assert KEPT not in os.environ
    assert without_login("++tracking.uri='postgresql://u:p,w@h'") == f"++tracking.uri=${{oc.env:{KEPT}}}"
    assert os.environ[KEPT] == "postgresql://u:p,w@h"


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that lets nobody in but `me@home` with the password `S3cret/`."""
    for name in (USER, PASSWORD):
        monkeypatch.setenv(name, "")  # so that what is set for the process is undone

    class Guard(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            knows = self.headers.get("authorization") == "Basic bWVAaG9tZTpTM2NyZXQv"
            body = json.dumps({"experiments": []} if knows else {"error_code": "UNAUTHENTICATED", "message": "who?"})
            self.send_response(200 if knows else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Guard) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_lets_in_who_is_named_in_its_address_or_in_mlflows_variables(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=f"must name a store that lets this user in, got http://{guarded}: .*who") as e:
        Tracker(uri=f"http://me%40home:S3wrong@{guarded}", experiment="own").connect()
    assert "S3wrong" not in str(e.value)
    assert Tracker(uri=f"http://me%40home:S3cret%2F@{guarded}", experiment="own").connect().tracking_uri == (
        f"http://{guarded}"
    )
    monkeypatch.setenv(USER, "me@home")
    monkeypatch.setenv(PASSWORD, "S3cret/")
    Tracker(uri=f"http://{guarded}", experiment="own").connect()


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("oracle://u:S3cret@h/db", "unsupported URI 'oracle://***@h/db'"),
        ("postgresql+nodriver://u:S3cret@h/db", "whose driver is installed, got postgresql+nodriver://***@h/db"),
        ("mssql+nodriver://u:S3cret@h/db", "whose driver is installed, got mssql+nodriver://***@h/db"),
        ("sqlite+nodriver:///x.db", "whose driver is installed"),
        ("postgresql+psycopg2://u:S3cret@127.0.0.1:1/db", "must name a database that lets MLflow in"),
        ("postgresql://u:S3cret@h:port/db", "got postgresql://***@h:port/db"),
        ("sqlite://", "must name a database that stays"),
        ("sqlite:///:memory:", "must name a database that stays"),
        ("sqlite:///", "must name a database that stays"),
        ("sqlite:///.", "it is a folder"),
        ("sqlite:///absent/x.db", "there is no such folder"),
        ("nonsense://u:S3cret@x", "unsupported URI 'nonsense://***@x'"),
        ("u:S3cret@h", "got ***@h"),
        ("http://u:S3cret@127.0.0.1:port", "got http://127.0.0.1:port"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_what_is_no_store_is_one_line_at_once_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(InputError) as caught:
        Tracker(uri=uri, experiment="own").connect()
    message = str(caught.value)
    assert says in message
    assert message.startswith("tracking.uri must ")
    assert "S3cret" not in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_experiment_is_named_with_the_line_that_restores_it(tracker: Tracker) -> None:
    client = tracker.ready()
    number = tracker.experiment_id(client)
    client.delete_experiment(number)
    for attempt in (tracker.ready, lambda: patiently(lambda: tracker.experiment_id(client))):
        with pytest.raises(InputError, match=rf"^tracking\.experiment must not be deleted, got '.*' \(id {number}\); "):
            attempt()
    client.restore_experiment(number)
    assert tracker.experiment_id(tracker.ready()) == number


@pytest.mark.parametrize("name", ["", 7, "x" * 501])
def test_a_name_that_no_experiment_may_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^experiment must be a name of at most 500 characters, got "):
        Tracker(uri=None, experiment=name)


def test_only_what_may_pass_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_STATE, TEMPORARILY_UNAVAILABLE

    def refused() -> None:
        calls.append(1)
        raise MlflowException("deleted", INVALID_STATE)

    calls: list[int] = []
    with pytest.raises(InputError, match="must name a store that takes runs, got: deleted"):
        patiently(refused)
    assert calls == [1]

    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    answers = iter([MlflowException("busy", TEMPORARILY_UNAVAILABLE), ConnectionError("gone"), None])

    def busy() -> str:
        if error := next(answers):
            raise error
        return "done"

    assert patiently(busy) == "done"
    assert len(waits) == 2

    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file)) as one, closing(sqlite3.connect(file, timeout=0)) as other:
        one.execute("create table t (x)")
        one.execute("begin immediate")
        with pytest.raises(sqlite3.OperationalError) as locked:
            other.execute("begin immediate")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as one, pytest.raises(sqlite3.Error) as readonly:
        one.execute("insert into t values (1)")
    assert is_passing(locked.value)
    assert not is_passing(readonly.value)
    assert not is_passing(OSError(28, "No space left on device"))
    assert not is_passing(ZeroDivisionError())
