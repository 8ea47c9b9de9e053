"""A warm Python: it imports once what runs need, and forks for each program, which would else import for 5 s.

    python warm.py SOCKET

A program has its own words, folder, environment, files for output and session, and ends as any Python does.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from select import select
from typing import Any

IMPORTED = ("bertlab.sweep.run", "bertlab.experiment.run_study", "mlflow.store.tracking.sqlalchemy_store")


class Program:
    """A program of a warm Python: `-m MODULE WORDS` or `PATH WORDS`. Its methods are those of `subprocess.Popen`."""

    def __init__(self, place: Path, words: Sequence[Any], folder: Path, env: dict[str, str], said: Path) -> None:
        self.returncode: int | None = None
        self._said = [said.with_suffix(".out"), said.with_suffix(".err")]
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.connect(str(place))
        with ExitStack() as stack:
            opened = [
                stack.enter_context(Path(os.devnull).open()),
                *(stack.enter_context(path.open("w")) for path in self._said),
            ]
            asked = json.dumps([[*map(str, words)], str(folder), env]).encode()
            socket.send_fds(self._line, [asked], [file.fileno() for file in opened])
        self.pid = int(self._line.recv(64))

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(int(self._line.recv(64)))
            self._line.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        out, err = (path.read_text("utf-8") for path in self._said)
        return out, err

    def send_signal(self, which: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, which)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def warm_python(place: Path, env: dict[str, str]) -> Iterator[None]:
    """Run a warm Python that listens at `place`."""
    words = [sys.executable, __file__, str(place)]
    with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as warm:
        assert warm.stdout is not None
        assert warm.stdout.readline() == b"ready\n"
        yield  # it ends when its stdin is closed, also if this process is killed


def next_program(place: str) -> tuple[list[str], str, dict[str, str]] | None:
    """Fork whenever a program is asked for. Return in each of them, and None at the end in the process itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(place)
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in (readable := select([listener, sys.stdin], [], [])[0]):
            assert readable
            line, _ = listener.accept()
            request, files, *_ = socket.recv_fds(line, 1 << 20, 3)
            if not os.fork():
                _forked(line, files)
                program: tuple[list[str], str, dict[str, str]] = json.loads(request)
                return program
            for file in (line.detach(), *files):
                os.close(file)
    with suppress(ChildProcessError):
        while os.wait():  # so that their time is counted as that of the tests
            pass
    return None


def _forked(line: socket.socket, files: Sequence[int]) -> None:
    """Fork the program and say its process and how it ended; return in the program only."""
    if not (program := os.fork()):
        os.setsid()
        for standard, file in enumerate(files):
            os.dup2(file, standard)
        return
    for file in files:
        os.close(file)
    line.send(str(program).encode())
    line.send(str(os.waitpid(program, 0)[1]).encode())
    os._exit(0)


def become(words: list[str], folder: str, env: dict[str, str]) -> None:
    """Do what a Python with these words does."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.path[0] = folder
    module = words[1] if words[0] == "-m" else ""
    sys.argv = words[1 if module else 0 :]
    if module:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    for _name in IMPORTED:
        import_module(_name)
    if _program := next_program(sys.argv[1]):
        become(*_program)
