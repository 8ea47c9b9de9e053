"""The other processes of a run on several devices: they start and end with the run.

Each is `python -m bertlab.sweep.ranks`. It reads the configuration from its input, says that it is ready and follows
rank 0. It ends when its input closes, so when the process that started it ends in any way. It has its own session and
ignores requests to stop: rank 0 decides.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, Any

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted

READY, PATIENCE = "ready", 10.0  # seconds until a failing process has ended
WORDS = ("-c", "from bertlab.sweep.ranks import main; main()")


@dataclass(frozen=True)
class Follower:
    """A process of a rank other than 0, and its standard error."""

    rank: int
    process: "Popen[str]"
    said: Path

    def wait_until_ready(self) -> bool:
        """Return whether it became ready; if not, it has ended."""
        assert self.process.stdout is not None
        return any(line.strip() == READY for line in self.process.stdout)

    def fate(self, seconds: float) -> str:
        """Describe how it ended; "" if it did not end within some seconds."""
        try:
            code = self.process.wait(seconds)
        except TimeoutExpired:
            return ""
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}, as where memory runs out"
        lines = self.said.read_text("utf-8", "replace").strip().splitlines() or [f"exit code {code}"]
        return f"ended: {redacted(lines[-1])}"


@contextmanager
def followed(trainer: Any, config: Mapping[str, Any]) -> Iterator[None]:
    """Start the other processes of a run, if its trainer needs some, and end them with the block.

    Raises InputError if one of them died.
    """
    from bertlab.train.devices import Group, Hardware

    if not isinstance(trainer, Hardware) or trainer.devices == 1:
        yield
        return
    with TemporaryDirectory() as folder, ExitStack() as stack:
        meeting = Path(folder) / "meeting"
        followers = [stack.enter_context(_started(config, rank, meeting)) for rank in range(1, trainer.devices)]
        if not all(each.wait_until_ready() for each in followers):
            raise _lost(followers) or AssertionError("a process that says no more must have ended")
        trainer.group = Group(0, trainer.devices, meeting)
        try:
            yield
        except RuntimeError as error:  # torch's error if a process does not answer
            if lost := _lost(followers):
                raise lost from error
            raise


@contextmanager
def _started(config: Mapping[str, Any], rank: int, meeting: Path) -> Iterator[Follower]:
    said = meeting.with_name(f"rank{rank}")
    with said.open("w", encoding="utf-8") as errors:
        process = Popen(
            [sys.executable, *WORDS], stdin=PIPE, stdout=PIPE, stderr=errors, text=True, start_new_session=True
        )
    with process:
        try:
            assert process.stdin is not None
            # not as an argument: it may hold secrets
            print(json.dumps([rank, str(meeting), config]), file=process.stdin, flush=True)
            yield Follower(rank, process, said)
        finally:
            process.kill()
            process.wait()  # the process' own block skips this after an interrupt


def _lost(followers: Sequence[Follower]) -> InputError | None:
    fates = [(each.rank, fate) for each in followers if (fate := each.fate(PATIENCE / len(followers)))]
    if not fates:
        return None
    rank, fate = fates[0]
    return InputError(
        f"trainer.devices={len(followers) + 1}: the process of device {rank} {fate}; type the same command again, "
        "which goes on from the last checkpoint, or lower batch.size"
    )


def main() -> None:
    """Follow rank 0."""
    for request in (signal.SIGINT, signal.SIGTERM):
        signal.signal(request, signal.SIG_IGN)
    rank, meeting, config = json.loads(sys.stdin.readline())
    Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    from bertlab.sweep.run import prepare_job  # this import takes seconds
    from bertlab.train.devices import Group
    from bertlab.train.module import Pretraining

    job = prepare_job(config)
    parts, trainer = job.parts, job.parts.trainer
    module = Pretraining(job.initial_model(), parts.objective, parts.optimizer, parts.schedule, job.steps, job.streams)
    trainer.group = Group(rank, trainer.devices, Path(meeting))
    print(READY, flush=True)  # noqa: T201
    trainer.follow(module, job.batches, job.steps)


def _end_with(stdin: IO[str]) -> None:
    """End when the parent process ends."""
    stdin.read()
    os._exit(1)
