"""A job of Slurm: what is known of it where it was submitted, and how it runs where it was sent.

Slurm need not keep accounts (sacct): its queue is asked, which knows a job for some minutes after its end.
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

GONE = "GONE"  # no longer known to Slurm
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
ENDED |= {"PREEMPTED", GONE}  # the former where a partition does not queue such jobs again
LOOKS = (2.0, 60.0)  # seconds between two questions to Slurm: at first, and at most
LOCAL = "local"  # submitit's name for this machine without Slurm


@dataclass(frozen=True)
class Job:
    """What runs on a node: the plugin's way to run a job, which is queued again where Slurm asks for its place."""

    plugin: Any

    def __call__(self, *given: Any) -> Any:
        """Run a job."""
        own, number, ends = dict(os.environ), submitit_signal(), list[SystemExit]()
        submitits: Any = signal.getsignal(number)

        def queue_again(signum: int, frame: Any) -> None:
            os.environ.update(own)  # a run trains without the variables of its cluster, by which submitit knows the job
            try:
                submitits(signum, frame)
            except SystemExit as end:
                ends.append(end)
                if own.get("SUBMITIT_EXECUTOR") == LOCAL:
                    signal.raise_signal(signal.SIGTERM)  # Slurm sends it itself; a run keeps where it is, and ends

        signal.signal(number, queue_again)
        try:
            return self.plugin(*given)
        except SystemExit as end:
            raise ends[0] if ends else end from None

    def checkpoint(self, *given: Any) -> Any:
        """Return what is run when the job has its turn again: the same, which finds its run's checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *given)


def submitit_signal() -> int:
    """Return the signal by which a node is told to free its place."""
    from submitit import JobEnvironment

    return int(JobEnvironment._usr_sig())


class Queue:
    """What Slurm says of jobs; it is asked rarely, for all jobs at once, and need not keep accounts."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}  # of the jobs that are waited for
        self._held: set[str] = set()  # jobs that were said to be held
        self._since = self._asked = 0.0

    def watch(self, jobs: Iterable[str]) -> None:
        """Wait for some jobs from now on."""
        self._states = dict.fromkeys(jobs, "UNKNOWN")
        self._since, self._asked = time.monotonic(), -LOOKS[1]

    def state(self, job: str) -> str:
        """Return the state of a job as it was a moment ago. How it ended stays known when Slurm has forgotten it."""
        now, (first, longest) = time.monotonic(), LOOKS
        if now - self._asked >= min(longest, max(first, (now - self._since) / 10)):
            told, self._asked = self.ask(self._states), now
            self._states |= {each: told.get(each, GONE) for each, state in self._states.items() if not is_over(state)}
        return self._states[job]

    def ask(self, jobs: Iterable[str]) -> dict[str, str]:
        """Return the states of the jobs that Slurm knows; those that were seen last where it does not answer."""
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
    """Return the time by the clock that stamps the files of a folder, which may be that of another machine."""
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder) as file:
        return Path(file.name).stat().st_mtime


def forget_older(results: Iterable[Path], since: float) -> None:
    """Remove results that are older than their jobs: those of earlier jobs that had the same numbers.

    A cluster that is set up anew counts its jobs from 1 again, and jobs of this machine are known by their processes.
    """
    for result in results:
        with suppress(FileNotFoundError):
            if result.stat().st_mtime < since:
                result.unlink()


def seen(path: Path, seconds: float = 0.0) -> bool:
    """Return whether a file is there, or comes within some seconds; to list a folder has NFS look again."""
    end = time.monotonic() + seconds
    while not (there := path.parent.is_dir() and path in path.parent.iterdir()) and time.monotonic() < end:
        time.sleep(0.5)
    return there


@contextmanager
def outside_of_a_job() -> Iterator[None]:
    """Submit as from a shell: a command that is a job itself would pass on its own size and limits."""
    own = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_") if "SLURM_JOB_ID" in os.environ else ()
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(own) and name != "SLURM_CONF"}
    try:
        yield
    finally:
        os.environ.update(hidden)
