"""A sweep: a grid of jobs under one parent run, launched by the configured launcher, with a report at the end.

All jobs are checked before the first one starts. Finished runs are not repeated. A failed job does not stop the others,
and its failure is reported.
"""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue
from tqdm import tqdm

from bertlab.config.building import build_parts
from bertlab.config.cache import digest
from bertlab.config.errors import whole_number
from bertlab.config.own import own_words
from bertlab.config.redact import recorded_command, redacted_command
from bertlab.config.settling import Settled, settling
from bertlab.data.store import TokenStore
from bertlab.identity.key import as_param, describe, semantic
from bertlab.sweep.checking import Checks
from bertlab.sweep.launch import Job, Launches, Overrides
from bertlab.sweep.logbook import Logbook, open_logbook
from bertlab.sweep.unsent import bring_unsent
from bertlab.tracking.description import KIND, SWEEP_KEY, Description, Identity, identity_of
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.result import Outcome
from bertlab.tracking.reuse import REUSED_HERE, mark_killed
from bertlab.tracking.run_log import BestEffort
from bertlab.tracking.sweep_lock import lead_sweep

MANY = 30  # number of jobs from which checking takes long enough for a message


@dataclass(frozen=True)
class Grid:
    """The jobs of a sweep and what varies between them."""

    jobs: Sequence[Overrides]  # overrides of each job
    factors: Sequence[str]  # the keys that differ between jobs
    fixed: Overrides  # overrides of all jobs
    words: Overrides = field(default_factory=list)  # the command line, for records

    @property
    def command(self) -> str:
        """The command, for records."""
        return " ".join(["python -m bertlab.run", *map(shlex.quote, (*own_words(), *recorded_command(self.words)))])

    @property
    def title(self) -> str:
        """The swept values, as the user typed them."""
        return self.own(self.words) or "sweep"

    def own(self, words: Overrides) -> str:
        """Return the words that set a factor."""
        return " ".join(word for word in redacted_command(words) if word.partition("=")[0].lstrip("+") in self.factors)


@dataclass(frozen=True)
class SweepEnd:
    """The result of a sweep. `names` describe the factors of each job."""

    outcomes: Sequence[Outcome]
    names: Sequence[str]
    report: Path | None  # None if no run finished
    where: str  # lines that say how to look at the runs


@dataclass(frozen=True)
class Planned:
    """A job of a sweep before it runs."""

    overrides: Overrides
    description: Description

    @property
    def identity(self) -> Identity:
        """Everything that the result depends on, if this machine computes it."""
        return identity_of(self.description.tags)

    @property
    def key(self) -> str:
        """The run's key."""
        return self.identity.key


def run_grid(grid: Grid, compose: Callable[[Overrides], DictConfig], launcher: Launcher, folder: Path) -> SweepEnd:
    """Run every unfinished job of the grid, and write the report of all jobs into `folder`.

    Raises InputError before the first run if a job's configuration cannot run.
    """
    # check the store and every job before anything runs
    settled = settling(compose)
    base = baseline_of(grid, settled)
    tracker: Tracker = build_parts(base).tracking
    output_dir = base["output_dir"]
    tracker.look()  # find out first whether the store answers
    planning = Planning(grid.factors, settled, base, launcher)
    if len(grid.jobs) >= MANY:
        print(f"{len(grid.jobs):,} runs are checked before the first one begins", file=sys.stderr, flush=True)  # noqa: T201
    checked = tqdm(grid.jobs, "checked", disable=None, leave=False)  # progress bar only on a terminal
    planned = [planning.plan(job) for job in checked]
    folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be created is an error before MLflow has an entry
    # clean up after earlier commands: dead runs, missed uploads
    logbook = open_logbook(tracker, output_dir, folder)
    mark_killed(tracker, output_dir)
    bring_unsent(tracker, output_dir)
    # one parent run; its tags identify the sweep
    with ExitStack() as stack:
        tags = {KIND: "sweep", SWEEP_KEY: sweep_key(planned, grid.factors)}
        tags |= {"bertlab.factors": " ".join(map(as_param, grid.factors)), "bertlab.command": grid.command}
        tags |= stack.enter_context(lead_sweep(tracker, folder))
        parent = stack.enter_context(logbook.sweep(grid.title, tags))
        try:
            outcomes = run_missing(planned, logbook, Launches(launcher, tracker, output_dir, parent))
        except (KeyboardInterrupt, SystemExit):  # a stopped launcher kills its workers, which then cannot report
            BestEffort()(lambda: mark_killed(tracker, output_dir))
            raise
        report = logbook.report() if any(not outcome.error for outcome in outcomes) else None
    return SweepEnd(outcomes, [grid.own(job) or "the only run" for job in grid.jobs], report, tracker.where(output_dir))


def sweep_key(planned: Sequence[Planned], factors: Sequence[str]) -> str:
    """Return the identity of a sweep: its runs and factors, independent of code, folder and order."""
    return digest(sorted({job.key for job in planned}), sorted(map(as_param, factors)))


def baseline_of(grid: Grid, settled: Callable[[Overrides], Settled]) -> Mapping[str, Any]:
    """Return the configuration without the grid's keys; if one of these has no default, the grid's first job."""
    try:
        return settled(grid.fixed)[0]
    except MissingMandatoryValue:  # each job sets this key; if none does, this raises again
        return settled(grid.jobs[0])[0]


class Planning:
    """Predicts the run of each job; checks what jobs have in common once (bertlab/sweep/checking.py)."""

    def __init__(
        self,
        factors: Sequence[str],
        settled: Callable[[Overrides], Settled],
        base: Mapping[str, Any],
        launcher: Launcher | None = None,
    ) -> None:
        self._factors, self._settled, self._base, self._launcher = factors, settled, base, launcher
        self._checks, self._stores = Checks(), dict[str, TokenStore]()

    def plan(self, job: Overrides) -> Planned:
        """Check a job and describe its run. Raises InputError for a job that cannot run."""
        config, asked = self._settled(job)
        own = {"factors": list(self._factors), "baseline": alike(config, self._base, self._factors)}
        listed = ",".join(f"'{key}'" for key in self._factors)
        overrides = [*job, f"tracking.factors=[{listed}]", f"tracking.baseline={own['baseline']}"]
        told = {**config, "tracking": {**config["tracking"], **own}}
        return Planned(overrides, describe(told, asked, self._checked(config)))

    def _checked(self, config: Mapping[str, Any]) -> TokenStore:
        whole_number("seed", config["seed"], 0)
        apart_from_seed = digest({**config, "seed": None})
        if apart_from_seed not in self._stores:
            self._stores[apart_from_seed] = self._checks.check(checkable(config, self._launcher))
        return self._stores[apart_from_seed]


def checkable(config: Mapping[str, Any], launcher: Launcher | None) -> Mapping[str, Any]:
    """Return a configuration that this machine can check: if runs are made elsewhere, without their hardware."""
    if not getattr(launcher, "is_elsewhere", False):
        return config
    return {**config, "trainer": {**config["trainer"], "accelerator": "cpu"}}


def run_missing(planned: Sequence[Planned], logbook: Logbook, launches: Launches) -> list[Outcome]:
    """Launch unfinished jobs, each key once; return the outcome of every job."""
    # reuse finished runs, launch the others once per key
    by_key = {job.key: job for job in reversed(planned)}
    done = logbook.finished([job.identity for job in by_key.values()])
    logbook.adopt({key: by_key[key].description for key in done})
    missing = [job for job in planned if job.key not in done and by_key[job.key] is job]
    launched = launches.run(
        [Job(job.identity, [*job.overrides, f"tracking.parent={logbook.parent}"]) for job in missing]
    )
    # find the new runs and link them to this sweep
    ended = {job.key: outcome for job, outcome in zip(missing, launched, strict=True)}
    made = [job.identity for job in missing if not ended[job.key].error]
    late = logbook.finished(made, REUSED_HERE[logbook.tracker.reuse])
    logbook.adopt({key: by_key[key].description for key in late})
    reused = {key: Outcome(tuple(by_key[key].overrides), result=result) for key, result in done.items()}
    return [{**reused, **ended}[job.key] for job in planned]


def alike(one: Mapping[str, Any], other: Mapping[str, Any], factors: Sequence[str] = ()) -> bool:
    """Return whether two configurations differ only in the seed, with equal values of the factors."""
    # same factor values, and the same in all that can change a result
    varied = [as_param(key).replace("/", ".").split(".") for key in factors if key != "seed"]
    equal = all(reduce(_value, path, one) == reduce(_value, path, other) for path in varied)
    return equal and {**semantic(one), "seed": None} == {**semantic(other), "seed": None}


def _value(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, Mapping) else None


def say_failures(outcomes: Sequence[Outcome]) -> None:
    """Print which runs failed and why, and how many did not run. Raises SystemExit with code 1 if there are any."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    left = [outcome for outcome in outcomes if not outcome.started]
    if not failed and not left:
        return
    if failed:
        print(f"bertlab: {len(failed)} of {len(outcomes)} runs failed; the others are in the report", file=sys.stderr)  # noqa: T201
    for outcome in failed:
        own = " ".join(redacted_command(outcome.overrides))
        print(f"  {own}: {outcome.error}", file=sys.stderr)  # noqa: T201
    if left:
        print(f"bertlab: stopped early, {len(left)} runs are left: {left[0].error}", file=sys.stderr)  # noqa: T201
    raise SystemExit(1)
