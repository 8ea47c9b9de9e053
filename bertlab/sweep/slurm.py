"""Slurm jobs: their state, seen from the submitting machine, and how they run on a node.

Slurm may keep no accounts (sacct). So we ask its queue, which knows a job until some minutes after its end.
"""

import logging
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from tempfile import NamedTemporaryFile
from typing import Any

log = logging.getLogger(__name__)

GONE = "GONE"  # Slurm no longer knows the job
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
ENDED |= {"PREEMPTED", GONE}  # PREEMPTED: in partitions that do not requeue such jobs
LOOKS = (2.0, 60.0)  # seconds between requests to Slurm: at first, and at most
LOCAL = "local"  # submitit's name for this machine without Slurm


@dataclass(frozen=True)
class Job:
    """A job on a node: the plugin's way to run it; it is queued again if Slurm takes its node away."""

    plugin: Any

    def __call__(self, *given: Any) -> Any:
        """Run a job."""
        own, number, ends = dict(os.environ), submitit_signal(), list[SystemExit]()
        submitits: Any = signal.getsignal(number)

        def queue_again(signum: int, frame: Any) -> None:
            # remove the cluster's variables from training; submitit needs them to identify the job
            os.environ.update(own)
            try:
                submitits(signum, frame)
            except SystemExit as end:
                ends.append(end)
                if own.get("SUBMITIT_EXECUTOR") == LOCAL:
                    signal.raise_signal(signal.SIGTERM)  # Slurm's own signal: the run saves its state and ends

        signal.signal(number, queue_again)
        try:
            return self.plugin(*given)
        except SystemExit as end:
            raise ends[0] if ends else end from None

    def checkpoint(self, *given: Any) -> Any:
        """Return what to run when the job restarts: the same job, which finds its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *given)


def submitit_signal() -> int:
    """Return the signal that asks a job to release its node."""
    from submitit import JobEnvironment

    return int(JobEnvironment._usr_sig())


class Queue:
    """The states of jobs in Slurm; asks rarely, for all jobs at once, and needs no accounts."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}  # of the watched jobs
        self._held: set[str] = set()  # jobs already reported as held
        self._since = self._asked = 0.0

    def watch(self, jobs: Iterable[str]) -> None:
        """Start to watch some jobs."""
        self._states = dict.fromkeys(jobs, "UNKNOWN")
        self._since, self._asked = time.monotonic(), -LOOKS[1]

    def state(self, job: str) -> str:
        """Return the latest state of a job. A final state stays known after Slurm has forgotten the job."""
        now, (first, longest) = time.monotonic(), LOOKS
        if now - self._asked >= min(longest, max(first, (now - self._since) / 10)):
            told, self._asked = self.ask(self._states), now
            self._states |= {each: told.get(each, GONE) for each, state in self._states.items() if not is_over(state)}
        return self._states[job]

    def ask(self, jobs: Iterable[str]) -> dict[str, str]:
        """Return the states of the jobs that Slurm knows; the last known states if it does not answer."""
        jobs = list(jobs)
        arrays = ",".join(sorted({job.partition("_")[0] for job in jobs}))
        command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T %r", f"--jobs={arrays}"]
        told = run(command, capture_output=True, text=True, check=False)
        if told.returncode and "Invalid job id" not in told.stderr:
            return {job: self._states.get(job, "UNKNOWN") for job in jobs}
        known = [line.split(maxsplit=2) for line in told.stdout.splitlines()]
        for job, _, *reason in known:
            if job in jobs and "held" in " ".join(reason).lower() and job not in self._held:
                self._held.add(job)
                log.warning("Slurm holds job %s (%s): scontrol release %s, or scancel %s", job, *reason, job, job)
        return {job: state for job, state, *_ in known}


def is_over(state: str) -> bool:
    """Return whether a job in this state never runs again."""
    return state in ENDED


def clock_of(folder: Path) -> float:
    """Return the time by the clock of the file system, which may be another machine's."""
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder) as file:
        return Path(file.name).stat().st_mtime


def forget_older(results: Iterable[Path], since: float) -> None:
    """Remove results that are older than their jobs: earlier jobs had the same numbers.

    A new cluster numbers its jobs from 1 again; jobs of this machine have process numbers.
    """
    for result in results:
        with suppress(FileNotFoundError):
            if result.stat().st_mtime < since:
                result.unlink()


def seen(path: Path, seconds: float = 0.0) -> bool:
    """Return whether a file exists, or appears within some seconds; listing its folder makes NFS look again."""
    end = time.monotonic() + seconds
    while not (there := path.parent.is_dir() and path in path.parent.iterdir()) and time.monotonic() < end:
        time.sleep(0.5)
    return there


@contextmanager
def outside_of_a_job() -> Iterator[None]:
    """Submit as from a shell: a command inside a job would pass its own size and limits on."""
    own = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_") if "SLURM_JOB_ID" in os.environ else ()
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(own) and name != "SLURM_CONF"}
    try:
        yield
    finally:
        os.environ.update(hidden)
