"""Launching: jobs -> how each of them ended, whatever became of their launcher, their processes and their answers.

A job's outcome is what its launcher returns. Where that is missing it is what the job noted in the sweep's diary, and
where the job could not note anything, what its cell holds. What did not begin is launched again. A job whose process is
gone is launched once more: what it kept is not lost, and if it ran out of memory beside others it may not do so alone.
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
from bertlab.ledger.result import NOT_RUN, CancelledError, LostError, Outcome
from bertlab.ledger.run_folder import run_folders_like
from bertlab.ledger.sweep_log import SweepLog
from bertlab.tracking.description import Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.reuse import finished_folder, mark_killed, result_on_disk
from bertlab.tracking.run_log import BestEffort

log = logging.getLogger(__name__)

Overrides = list[str]

TRIES = 2  # times that a job may lose its process, and that a launcher may fail before any job begins
NO_MEMORY = re.compile(
    r"SIGKILL|OUT_OF_ME|oom.?kill|out of memory", re.IGNORECASE
)  # loky's words, Slurm's, the kernel's
OF_HYDRA = re.compile(r"[+~]*hydra[./]")
EXIT_CODES = re.compile(r"exit codes? of the workers? (?:are|is) (\{.*?\})")  # in loky's words


@dataclass(frozen=True)
class Job:
    """What is launched, and what its run is found by, though the machine that makes it may be another one."""

    identity: Identity
    overrides: Overrides


@dataclass
class Launches:
    """All that is launched for one sweep or study; its jobs are numbered through, whatever is launched again."""

    launcher: Launcher
    tracker: Tracker
    output_dir: str
    sweep: str  # the id by which its jobs know it
    count: int = 0

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Launch jobs until each of them has an outcome, and return these."""
        diary = SweepLog(self.output_dir, self.sweep)
        diary.forget()
        if jobs:
            diary.expect(len(jobs))
        try:
            return _Round(self, jobs, diary).outcomes()
        finally:
            diary.forget()

    def launch(self, jobs: Sequence[Job]) -> tuple[range, list[Any], Exception | None]:
        """Give jobs to the launcher; return their numbers, what came back and what the launcher raised."""
        numbers = range(self.count, self.count + len(jobs))
        self.count = numbers.stop
        if name_runs := getattr(self.launcher, "name_runs", None):  # one that finds the jobs of an earlier command
            name_runs([f"{job.identity.key}-{job.identity.code}" for job in jobs])
        try:
            back = self.launcher.launch([job.overrides for job in jobs], initial_job_idx=numbers.start)
        except Exception as error:  # every launcher has its own kinds
            return numbers, [], error
        return numbers, in_order(jobs, list(back or [])), None

    def settle(self) -> None:
        """Mark the runs whose process is gone as killed; a store that is away hears of it later."""
        telling = BestEffort()
        if self.tracker.offline:
            mark_killed(self.tracker, self.output_dir)
        else:
            telling(lambda: mark_killed(self.tracker, self.output_dir))


class _Round:
    """The launching of some jobs."""

    def __init__(self, launches: Launches, jobs: Sequence[Job], diary: SweepLog) -> None:
        self._launches, self._jobs, self._diary = launches, jobs, diary
        self._ended: dict[int, Outcome] = {}  # by place in `jobs`
        self._lost = Counter[int]()  # how often a job's process went away
        self._idle = 0  # how often nothing began
        self._shared = False  # whether jobs share a pool, in which one that dies takes the others with it

    def outcomes(self) -> list[Outcome]:
        """Launch until nothing is left."""
        while batch := self._next():
            self._go(batch)
        return [self._ended[place] for place in range(len(self._jobs))]

    def _next(self) -> list[int]:
        """Return what to launch: all that is left, but whose death may be another's fault goes last and alone."""
        left = [place for place in range(len(self._jobs)) if place not in self._ended]
        if not self._shared:
            return left
        return [place for place in left if not self._lost[place]] or left[:1]

    def _go(self, batch: list[int]) -> None:
        numbers, back, error = self._launches.launch([self._jobs[place] for place in batch])
        self._shared = self._shared or isinstance(error, BrokenExecutor)
        self._wait_for_those_that_live(batch, numbers)
        notes, lost = self._noted(batch, numbers), 0
        for place, number, returned in zip(batch, numbers, back or [None] * len(batch), strict=True):
            job, own = self._jobs[place], fault(returned)
            if outcome := returned_by(returned) or notes.get(number) or self._on_disk(job):
                self._ended[place] = replace(outcome, lost=self._lost[place])
            elif own or number in notes:
                lost += 1
                self._lose(place, number, own or error)
        self._idle = self._idle + 1 if not lost and not self._ended.keys() & set(batch) else 0
        if self._idle == TRIES:
            for place in batch:
                words = f"the launcher failed before the run began: {said(error)}{_advice(error)}"
                self._ended[place] = Outcome(tuple(self._jobs[place].overrides), f"{NOT_RUN}{words}")
        if lost:
            self._launches.settle()
        if again := [place for place in batch if place not in self._ended]:
            reason = said(error or next(filter(None, map(fault, back)), None))
            log.warning("runs left without an outcome: %s (%s); they are launched again", len(again), reason)

    def _wait_for_those_that_live(self, batch: Sequence[int], numbers: range) -> None:
        """Wait for the jobs that go on though their launcher gave up on them, as those on a cluster do."""
        silent = {number for number, outcome in self._noted(batch, numbers).items() if outcome is None}
        for place, number in zip(batch, numbers, strict=True):
            identity = self._jobs[place].identity
            for cell in (
                run_folders_like(self._launches.output_dir, identity.key, identity.code) if number in silent else ()
            ):
                with cell.held():
                    pass

    def _noted(self, batch: Sequence[int], numbers: range) -> dict[int, Outcome | None]:
        """Return what the jobs of a launch noted, by number."""
        launched = {number: of_task(self._jobs[place]) for place, number in zip(batch, numbers, strict=True)}
        return self._diary.outcomes(launched)

    def _lose(self, place: int, number: int, error: Exception | None) -> None:
        self._lost[place] += 1
        if self._lost[place] == TRIES or isinstance(error, CancelledError):
            self._ended[place] = Outcome(tuple(self._jobs[place].overrides), of_the_dead(error))
            with suppress(InputError):  # of a full disk
                self._diary.end(number, self._ended[place])

    def _on_disk(self, job: Job) -> Outcome | None:
        cell = finished_folder(self._launches.output_dir, job.identity, "code")
        return Outcome(tuple(job.overrides), result=result_on_disk(cell)) if cell else None


def in_order(jobs: Sequence[Job], back: list[Any]) -> list[Any]:
    """Return what came back for each job, None for nothing; of fewer or more answers those that name their job."""
    if len(back) == len(jobs):
        return back
    named = {frozenset(each.overrides or ()): each for each in back if isinstance(each, JobReturn)}
    return [named.get(of_task(job)) for job in jobs]


def of_task(job: Job) -> frozenset[str]:
    """Return the overrides by which Hydra knows a job, those for Hydra itself apart."""
    return frozenset(word for word in job.overrides if not OF_HYDRA.match(word))


def returned_by(returned: object) -> Outcome | None:
    """Return a job's outcome, if that is what came back."""
    if not isinstance(returned, JobReturn) or fault(returned):
        return None
    outcome = returned.return_value
    return outcome if isinstance(outcome, Outcome) else None


def fault(returned: object) -> Exception | None:
    """Return the exception that a launcher has in place of a job's outcome."""
    if isinstance(returned, JobReturn):
        returned = returned._return_value  # what `return_value` would raise, after words of Hydra's own
    return returned if isinstance(returned, Exception) else None


def said(error: Exception | None) -> str:
    """Return what is known of a launcher's failure, in one line."""
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
    """Say what to do where a cluster refuses what a job asks for."""
    if "Memory specification" in str(error):  # Slurm's words where nodes do not count memory, or have less
        return "; lower hydra.launcher.mem_gb, or leave it out with hydra.launcher.mem_gb=null"
    return ""


def of_the_dead(error: Exception | None) -> str:
    """Say why a run was given up that lost its process each time."""
    if isinstance(error, BrokenExecutor) or NO_MEMORY.search(str(error)):
        return (
            f"its process was killed {TRIES} times ({said(error)}), most likely because memory ran out; lower "
            "batch.size or hydra.launcher.n_jobs, or raise hydra.launcher.mem_gb, then type the same command again"
        )
    return said(error) if error else f"its process ended {TRIES} times without a word"
