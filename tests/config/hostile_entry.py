"""A process that tries command lines at the real entry point, `bertlab.commands.run.main`, and watches their effects.

In: one JSON list of words per line, on standard input. Out: one JSON object per line: exit code, standard error, and
the events that only a harmful command line would cause. Every case runs in a separate fork, with the working directory
of this process; a run ends after its first batch, before anything is trained or tracked.
"""

import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import bertlab.experiment.run_study
import bertlab.sweep.grid
import bertlab.sweep.run
from bertlab.commands.run import main
from bertlab.config.building import build_parts
from bertlab.config.compose import load, resolved
from bertlab.study.arms import register
from bertlab.sweep.grid import SweepEnd
from bertlab.tracking.result import RunResult

SECONDS = 8  # CPU seconds of a case; a case that still runs then was accepted
PATIENCE = 120.0  # seconds of wall time, for a case that waits
MEMORY = 3 << 30  # extra bytes that a case may use: reading input as a stream needs less
HERE = Path.cwd()
ALLOWED = (str(HERE), os.environ["BERTLAB_CACHE"], tempfile.gettempdir(), os.devnull)
STARTS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn", "pickle.find_class"}
STARTS |= {"socket.connect", "socket.getaddrinfo", "ctypes.dlopen"}
WRITES = {"os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.link": (1,)}
WRITES |= {"os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "shutil.rmtree": (0,)}
FOREIGN = {"trap", "antigravity", "this"}  # modules that only the input names

seen: list[str] = []
watching = False


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Record a started program, a connection, a foreign import, and a write outside the places of runs."""
    if not watching:
        return
    if event in STARTS:
        seen.append(f"{event} {arguments[:2]}")
    elif event == "import" and str(arguments[0]).partition(".")[0] in FOREIGN:
        seen.append(f"import {arguments[0]}")
    elif event == "open" and isinstance(arguments[0], str | bytes) and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            note_write(event, arguments[0])
    elif event in WRITES:
        for place in WRITES[event]:
            if isinstance(arguments[place], str | bytes | Path):
                note_write(event, arguments[place])


def note_write(event: str, path: Any) -> None:
    real = os.path.realpath(os.fsdecode(path))
    if not any(real == place or real.startswith(place + os.sep) for place in ALLOWED):
        seen.append(f"{event} {real}")


def first_batch(config: Mapping[str, Any], asked: Any = None, tracker: Any = None) -> RunResult:
    """Replaces `bertlab.sweep.run.train`: everything up to the first batch."""
    job = bertlab.sweep.run.prepare_job(config)
    job.check()
    assert job.batches(0).ids_BL.shape == (job.form.size, job.form.length)
    return RunResult("0", "finished", {}, None)


def check_grid(grid: Any, compose: Any, launcher: Any, folder: Path) -> SweepEnd:
    """Replaces `bertlab.sweep.grid.run_grid`: everything up to the first job."""
    for overrides in grid.jobs:
        first_batch(resolved(compose(overrides)))
    return SweepEnd([], [""], None, "")


def check_study(grid: Any, compose: Any, launcher: Any, folder: Path) -> SweepEnd:
    """Replaces `bertlab.experiment.run_study.conduct`: everything up to the first job."""
    registration = register(lambda own: compose([*grid.fixed, *own]))
    first_batch(registration.arms[registration.study.baseline])
    return SweepEnd([], [""], None, "")


def attempt(words: Sequence[str]) -> None:
    """Run one case in this process, which it ends."""
    global watching
    resource.setrlimit(resource.RLIMIT_AS, (size() + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    sys.argv = ["run"]
    code: Any = 0
    watching = True
    try:
        main(words)
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:
        code = f"escaped: {type(error).__name__}: {error}"
    watching = False
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(report, json.dumps({"code": code, "events": seen[:20]}).encode())
    os._exit(0)


def size() -> int:
    """Return the address space of this process in bytes."""
    return int(Path("/proc/self/statm").read_text("utf-8").split()[0]) * resource.getpagesize()


def case(words: Sequence[str]) -> dict[str, Any]:
    """Try a case in a fork and return the result; `code` is None for a case that used up its time."""
    global report
    ours, report = os.pipe()
    with tempfile.TemporaryFile("w+b") as err, tempfile.TemporaryFile("w+b") as out:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.dup2(err.fileno(), 2)
            os.dup2(out.fileno(), 1)
            attempt(words)
        os.close(report)
        start = time.monotonic()
        answer = os.read(ours, 1 << 20) if select.select([ours], [], [], PATIENCE)[0] else b""
        if not answer and time.monotonic() - start >= PATIENCE:
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        os.close(ours)
        err.seek(0)
        busy = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
        found = json.loads(answer) if answer else {"code": None if busy else f"died: {status}", "events": []}
        return {**found, "err": err.read().decode(errors="replace"), "seconds": time.monotonic() - start}


if __name__ == "__main__":
    torch.set_num_threads(1)
    build_parts(resolved(load(["data=oracle"])))  # Hydra caches this for every fork
    bertlab.sweep.run.train = first_batch  # type: ignore[assignment]
    bertlab.sweep.grid.run_grid = check_grid  # type: ignore[assignment]
    bertlab.experiment.run_study.conduct = check_study
    sys.addaudithook(watch)
    for line in sys.stdin:
        print(json.dumps(case(json.loads(line))), flush=True)
