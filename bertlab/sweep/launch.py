"""Launching: jobs -> outcomes, also if the launcher, a worker process or an answer is lost.

The launcher returns a job's outcome. If it returns none, we read the outcome from the sweep's diary; if the job wrote
none there, from its run folder. Jobs that did not begin are launched again. A job whose process died is launched once
more: its checkpoints still exist, and if several jobs together used up the memory, one alone may fit.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

from bertlab.config.error_messages import explain
from bertlab.config.errors import InputError
from bertlab.config.redact import redacted
from bertlab.sweep.sweep_log import SweepLog
from bertlab.tracking.description import Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.result import CancelledError, LostError, Outcome
from bertlab.tracking.reuse import finished_folder, mark_killed, result_on_disk
from bertlab.tracking.run_folder import run_folders_like
from bertlab.tracking.run_log import BestEffort

log = logging.getLogger(__name__)

Overrides = list[str]

TRIES = 2  # how often a job may lose its process, and a launcher may fail before any job begins
NO_MEMORY = re.compile(
    r"SIGKILL|OUT_OF_ME|oom.?kill|out of memory", re.IGNORECASE
)  # words of loky, Slurm and the kernel
OF_HYDRA = re.compile(r"[+~]*hydra[./]")
EXIT_CODES = re.compile(r"exit codes? of the workers? (?:are|is) (\{.*?\})")  # loky's words


@dataclass(frozen=True)
class Job:
    """A job to launch, and the identity that finds its run, which another machine may make."""

    identity: Identity
    overrides: Overrides


@dataclass
class Launches:
    """All launches of one sweep or study. Job numbers continue when jobs are launched again."""

    launcher: Launcher
    tracker: Tracker
    output_dir: str
    sweep: str  # id of the sweep in its jobs' configuration
    count: int = 0

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Launch jobs until each has an outcome; return the outcomes."""
        diary = SweepLog(self.output_dir, self.sweep)
        diary.forget()
        if jobs:
            diary.expect(len(jobs))
        try:
            return _Round(self, jobs, diary).outcomes()
        finally:
            diary.forget()

    def launch(self, jobs: Sequence[Job]) -> tuple[range, list[Any], Exception | None]:
        """Give jobs to the launcher; return their numbers, its answers and its exception."""
        numbers = range(self.count, self.count + len(jobs))
        self.count = numbers.stop
        if name_runs := getattr(self.launcher, "name_runs", None):  # launchers that find the jobs of an earlier command
            name_runs([f"{job.identity.key}-{job.identity.code}" for job in jobs])
        try:
            back = self.launcher.launch([job.overrides for job in jobs], initial_job_idx=numbers.start)
        except Exception as error:  # every launcher raises its own types
            return numbers, [], error
        return numbers, in_order(jobs, list(back or [])), None

    def settle(self) -> None:
        """Mark runs without a process as killed; a store that does not answer gets this later."""
        telling = BestEffort()
        if self.tracker.offline:
            mark_killed(self.tracker, self.output_dir)
        else:
            telling(lambda: mark_killed(self.tracker, self.output_dir))


class _Round:
    """The launches of some jobs until all have outcomes."""

    def __init__(self, launches: Launches, jobs: Sequence[Job], diary: SweepLog) -> None:
        self._launches, self._jobs, self._diary = launches, jobs, diary
        self._ended: dict[int, Outcome] = {}  # by index in `jobs`
        self._lost = Counter[int]()  # how often a job's process died
        self._idle = 0  # launches in a row without a result
        self._shared = False  # whether jobs share a pool: if one worker dies, the whole pool breaks

    def outcomes(self) -> list[Outcome]:
        """Launch until every job has an outcome."""
        while batch := self._next():
            self._go(batch)
        return [self._ended[place] for place in range(len(self._jobs))]

    def _next(self) -> list[int]:
        """Return the next jobs; in a broken pool, first those that lost no process, then the others one at a time."""
        left = [place for place in range(len(self._jobs)) if place not in self._ended]
        if not self._shared:
            return left
        return [place for place in left if not self._lost[place]] or left[:1]

    def _go(self, batch: list[int]) -> None:
        # launch, then wait for jobs that outlived their launcher
        numbers, back, error = self._launches.launch([self._jobs[place] for place in batch])
        self._shared = self._shared or isinstance(error, BrokenExecutor)
        self._wait_for_those_that_live(batch, numbers)
        notes, lost = self._noted(batch, numbers), 0
        for place, number, returned in zip(batch, numbers, back or [None] * len(batch), strict=True):
            # the outcome: from the launcher, else the diary, else the run folder
            job, own = self._jobs[place], fault(returned)
            if outcome := returned_by(returned) or notes.get(number) or self._on_disk(job):
                self._ended[place] = replace(outcome, lost=self._lost[place])
            elif own or number in notes:
                lost += 1
                self._lose(place, number, own or error)
        # give up if the launcher repeatedly starts nothing
        self._idle = self._idle + 1 if not lost and not self._ended.keys() & set(batch) else 0
        if self._idle == TRIES:
            for place in batch:
                words = f"the launcher failed before the run began: {said(error)}{_advice(error)}"
                self._ended[place] = Outcome(tuple(self._jobs[place].overrides), words, started=False)
        if lost:
            self._launches.settle()
        if again := [place for place in batch if place not in self._ended]:
            reason = said(error or next(filter(None, map(fault, back)), None))
            log.warning("runs left without an outcome: %s (%s); they are launched again", len(again), reason)

    def _wait_for_those_that_live(self, batch: Sequence[int], numbers: range) -> None:
        """Wait for jobs that still run although their launcher gave up, as on a cluster."""
        silent = {number for number, outcome in self._noted(batch, numbers).items() if outcome is None}
        for place, number in zip(batch, numbers, strict=True):
            identity = self._jobs[place].identity
            for cell in (
                run_folders_like(self._launches.output_dir, identity.key, identity.code) if number in silent else ()
            ):
                with cell.held():
                    pass

    def _noted(self, batch: Sequence[int], numbers: range) -> dict[int, Outcome | None]:
        """Return the outcomes that jobs wrote to the diary, by number."""
        launched = {number: of_task(self._jobs[place]) for place, number in zip(batch, numbers, strict=True)}
        return self._diary.outcomes(launched)

    def _lose(self, place: int, number: int, error: Exception | None) -> None:
        self._lost[place] += 1
        if self._lost[place] == TRIES or isinstance(error, CancelledError):
            self._ended[place] = Outcome(tuple(self._jobs[place].overrides), of_the_dead(error))
            with suppress(InputError):  # the disk may be full
                self._diary.end(number, self._ended[place])

    def _on_disk(self, job: Job) -> Outcome | None:
        cell = finished_folder(self._launches.output_dir, job.identity, "code")
        return Outcome(tuple(job.overrides), result=result_on_disk(cell)) if cell else None


def in_order(jobs: Sequence[Job], back: list[Any]) -> list[Any]:
    """Return the answer for each job, or None; if the number of answers differs, match them by overrides."""
    if len(back) == len(jobs):
        return back
    # some answers are missing or extra: match by overrides
    named = {frozenset(each.overrides or ()): each for each in back if isinstance(each, JobReturn)}
    return [named.get(of_task(job)) for job in jobs]


def of_task(job: Job) -> frozenset[str]:
    """Return the overrides by which Hydra identifies a job, without Hydra's own."""
    return frozenset(word for word in job.overrides if not OF_HYDRA.match(word))


def returned_by(returned: object) -> Outcome | None:
    """Return a job's outcome, if the answer is one."""
    if not isinstance(returned, JobReturn) or fault(returned):
        return None
    outcome = returned.return_value
    return outcome if isinstance(outcome, Outcome) else None


def fault(returned: object) -> Exception | None:
    """Return the exception that a launcher returned instead of an outcome."""
    if isinstance(returned, JobReturn):
        returned = returned._return_value  # the exception itself: `return_value` would log and raise it
    return returned if isinstance(returned, Exception) else None


def said(error: Exception | None) -> str:
    """Describe a launcher's failure in one line."""
    if error is None:
        return "no answer came back"
    if explained := explain(error):
        return explained
    if isinstance(error, LostError | CancelledError):
        return redacted(str(error))
    codes = EXIT_CODES.search(str(error))
    text = codes[1] if codes else " ".join(str(error).split())[:300]
    return redacted(f"{type(error).__name__}: {text}") if text else type(error).__name__


def _advice(error: Exception | None) -> str:
    """Advise on a job that the cluster refuses."""
    if "Memory specification" in str(error):  # Slurm's words if nodes do not count memory, or have less
        return "; lower hydra.launcher.mem_gb, or leave it out with hydra.launcher.mem_gb=null"
    return ""


def of_the_dead(error: Exception | None) -> str:
    """Explain why a run whose process died each time is given up."""
    if isinstance(error, BrokenExecutor) or NO_MEMORY.search(str(error)):
        return (
            f"its process was killed {TRIES} times ({said(error)}), most likely because memory ran out; lower "
            "batch.size or hydra.launcher.n_jobs, or raise hydra.launcher.mem_gb, then type the same command again"
        )
    return said(error) if error else f"its process ended {TRIES} times without a message"
