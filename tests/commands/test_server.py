"""What cannot be served gives one line, before anything starts."""

import signal
import socket
from pathlib import Path

import pytest
from uvicorn.main import main as uvicorn

from bertlab.commands import server
from bertlab.commands.server.arguments import check_free
from bertlab.commands.server.processes import START_SECONDS, running, wait_for
from bertlab.commands.server.tracking import PATIENCE
from bertlab.config.errors import InputError


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["port=x"], "port must lie in [0, 65535], got x; "),
        (["host=192.0.2.1"], "host must be an address of this machine, got 192.0.2.1: "),  # of documentation
        (["host=[::"], "host must be an address of this machine, got [::: "),
        (["folder=file"], "folder must be one that can be created, got file: "),
        (["folder=file/below"], "folder must be one that can be created, got file/below: "),
        (["database=nothing"], "database must be an address of sqlite, postgresql, mysql, mssql, got nothing; "),
        (["database=oracle://somewhere/x"], "database must be an address of sqlite, "),
        (["database=sqlite:////nowhere/x.db"], "database must answer, got sqlite:////nowhere/x.db: unable to open "),
        (["database=postgresql+psycopg2://me:secret@127.0.0.1:1/x"], "database must answer, got postgresql"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(SystemExit) as exit_:
        server.main(words)
    told = capsys.readouterr().err
    assert exit_.value.code == 2
    assert told.startswith(f"bertlab: {line}")
    assert told.count("\n") == 1
    assert "secret" not in told


def test_a_port_that_is_in_use_is_one_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match=r"^port must be free and allowed, got \d+: "):
            check_free("127.0.0.1", other.getsockname()[1])


def test_a_program_that_ends_or_stays_silent_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "sleep.log"
    with running(["sh", "-c", "echo no room; exit 3"], log, signal.SIGTERM) as process:
        process.wait()
        with pytest.raises(InputError, match=r"^sleep must answer, got it ended: no room; its whole log is sleep\.log"):
            wait_for(process, log, lambda: False)
    with (
        running(["sleep", "60"], log, signal.SIGTERM) as process,
        pytest.raises(InputError, match=r"^sleep must answer, got none in 0 s: no room; "),
    ):
        wait_for(process, log, lambda: False, 0.1)


def test_a_process_of_the_server_may_start_as_slowly_as_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    words = uvicorn.make_context("uvicorn", ["app"], **uvicorn.context_settings)
    assert words.params["timeout_worker_healthcheck"] == START_SECONDS
