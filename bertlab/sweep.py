"""A sweep: a grid of jobs under one parent run in MLflow, launched wherever the launcher says, reported at its end.

Everything is checked before anything runs; a job that fails later neither stops nor hides the others.
"""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from bertlab.compose import build_parts, resolved
from bertlab.job import check
from bertlab.outcome import Outcome
from bertlab.report.gather import report_sweep
from bertlab.tracking.identity import as_param, semantic
from bertlab.tracking.mlflow import KIND, Tracker, closing, ui_command

Overrides = list[str]


@dataclass(frozen=True)
class Grid:
    """What a sweep varies."""

    jobs: Sequence[Overrides]  # the overrides of each job
    factors: Sequence[str]  # the keys that differ between jobs
    fixed: Overrides  # the overrides that all jobs share


def run_grid(grid: Grid, compose: Callable[[Overrides], DictConfig], launcher: Launcher, folder: Path) -> list[Outcome]:
    """Run every job of the grid and write the report into `folder`.

    Raises InputError before anything has run when a job's configuration cannot run, and SystemExit with code 1 at the
    end when a job failed.
    """
    base = resolved(compose(grid.fixed))
    tracker: Tracker = build_parts(base).tracking
    client = tracker.connect()
    cells = [resolved(compose(job)) for job in grid.jobs]
    for cell in cells:
        check(cell)
    folder.mkdir(parents=True, exist_ok=True)
    parent = tracker.start(client, _title(grid.factors), {KIND: "sweep", **_about(grid.factors)})
    shared = [f"tracking.parent={parent}", "tracking.factors=[" + ",".join(f"'{key}'" for key in grid.factors) + "]"]
    jobs = [
        [*job, *shared, f"tracking.baseline={alike(cell, base)}"] for job, cell in zip(grid.jobs, cells, strict=True)
    ]
    with closing(client, parent):
        outcomes = [outcome_of_job(returned) for returned in launcher.launch(jobs, initial_job_idx=0)]
        report = report_sweep(client, client.get_run(parent), folder / "report")
    print(f"report:    {report}\nMLflow UI: {ui_command(tracker.uri)}")  # noqa: T201
    say_failures(outcomes)
    return outcomes


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two configurations are the same run apart from the seed."""
    return {**semantic(one), "seed": None} == {**semantic(other), "seed": None}


def outcome_of_job(returned: JobReturn) -> Outcome:
    """Read a job's outcome; a launcher that lost the job has an exception in its place."""
    try:
        outcome = returned.return_value
    except Exception as error:
        return Outcome(tuple(returned.overrides or ()), f"{type(error).__name__}: {error}")
    assert isinstance(outcome, Outcome)
    return outcome


def _title(factors: Sequence[str]) -> str:
    """Name a sweep by the values it sweeps, as they were typed."""
    return " ".join(word for word in sys.argv[1:] if word.partition("=")[0].lstrip("+") in factors) or "sweep"


def _about(factors: Sequence[str]) -> dict[str, str]:
    command = " ".join(["python -m bertlab.run", *(shlex.quote(word) for word in sys.argv[1:])])
    return {"bertlab.factors": " ".join(map(as_param, factors)), "bertlab.command": command}


def say_failures(outcomes: Sequence[Outcome]) -> None:
    """Say which runs failed and why. Raises SystemExit with code 1 when any did."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if not failed:
        return
    print(f"bertlab: {len(failed)} of {len(outcomes)} runs failed; the others are in the report", file=sys.stderr)  # noqa: T201
    for outcome in failed:
        own = " ".join(override for override in outcome.overrides if not override.startswith("tracking."))
        print(f"  {own}: {outcome.error}", file=sys.stderr)  # noqa: T201
    raise SystemExit(1)
