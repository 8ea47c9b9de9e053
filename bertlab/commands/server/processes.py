"""Child programs of the command: start, wait, and stop with all their own children."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bertlab.config.errors import InputError

START_SECONDS, STOP_SECONDS = 300.0, 20.0


@contextmanager
def running(words: Sequence[Any], log: Path, ending: signal.Signals, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program and its children; stop it with the signal that it understands as a request to stop."""
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
        with suppress(ProcessLookupError):  # expected: no process of its session is left
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(
    process: subprocess.Popen[bytes], log: Path, answers: Callable[[], bool], seconds: float = START_SECONDS
) -> None:
    """Wait until a program answers. Raises InputError, with its last log line, if it ended or does not answer."""
    start = time.monotonic()
    while not answers():
        if process.poll() is not None or time.monotonic() - start > seconds:
            last = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
            how = "it ended" if process.poll() is not None else f"none in {seconds:.0f} s"
            raise InputError(f"{log.stem} must answer, got {how}: {last}; its whole log is {log.name} in folder=FOLDER")
        time.sleep(0.2)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only this user can read."""
    path.touch(0o600, exist_ok=False)
    path.write_text(text, "utf-8")
