"""Conducting a registered study: register -> search -> explore -> run up to each look -> judge -> report.

Enters: a study's configuration and a launcher: the study decides which runs, the launcher where. Typing the same
command again goes on where it stopped.
"""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from omegaconf import DictConfig

from bertlab import __version__
from bertlab.bench import Bench, Cell, Overrides, record_of, say
from bertlab.compose import build_parts, resolved
from bertlab.errors import InputError
from bertlab.job import Job, prepare_job
from bertlab.ledger.archive import ARCHIVE
from bertlab.outcome import Outcome
from bertlab.report.book import write_book
from bertlab.report.study import headline, verdict_table, write_study
from bertlab.stats.margin import worth_of_tokens
from bertlab.streams import Streams
from bertlab.study.arms import Compose, Config, Registration, at_stage, register
from bertlab.study.design import Study
from bertlab.study.judge import Findings, judge
from bertlab.study.outcome import outcome_of
from bertlab.study.record import EXPLORATION, Record
from bertlab.study.search import of_trials, trial
from bertlab.sweep import Grid, say_failures
from bertlab.tracking.identity import code_fingerprint, yardstick
from bertlab.tracking.leading import leading
from bertlab.tracking.life import closing, sync_command
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.reach import needing
from bertlab.tracking.registry import REGISTERED, describe_study, register_run, summarise_arm
from bertlab.tracking.reuse import bury

FIRST_EXPLORING, EXPLORING = 1000, 3  # seeds that the margin is measured on; no confirming run uses one of them
POINTS = 3  # evaluations that a slope needs
NEAR_END = 0.75  # of the tokens: where the slope is taken, so that at least three evaluations stand there
Runs = dict[tuple[str, int], tuple[Cell, Run]]  # by arm and seed


def conduct(grid: Grid, compose: Callable[[Overrides], DictConfig], launcher: Launcher, folder: Path) -> list[Outcome]:
    """Run a study until it is decided or its last look is over, and leave its report in `folder`.

    Returns how the jobs ended. Raises InputError before anything has run for a study that cannot run, and SystemExit
    with code 1 at the end when a run failed; the same command then runs what is missing.
    """
    if grid.factors:
        raise InputError(f"a study runs its own arms, got several values of {', '.join(grid.factors)}; give one each")

    def compose_own(own: Sequence[str]) -> DictConfig:
        return compose([*grid.fixed, *own])

    registration = register(compose_own)
    study = registration.study
    tracker: Tracker = build_parts(registration.arms[study.baseline]).tracking
    if tracker.offline:
        raise InputError(
            "tracking.offline must be false for a study, got true: its looks are judged in a store; leave it and "
            "tracking.uri unset to use a local file, which needs no network"
        )
    client = tracker.connect()
    jobs = {name: prepare_job(config) for name, config in {**registration.arms, **registration.controls}.items()}
    for job in [*jobs.values(), *map(prepare_job, _searched(registration, compose_own))]:
        job.check()
    _check_curve(study, jobs[study.baseline])
    name = registered_as(registration, jobs[study.baseline])
    parent = register_run(tracker, client, study.id, name, _about(registration))
    tracker.parent = parent.run.info.run_id
    _announce(study.id, name, parent.others if parent.is_new else None)
    archive = folder / study.id / ARCHIVE
    fingerprint = jobs[study.baseline].store.fingerprint
    bench = Bench(registration, grid.fixed, launcher, tracker, client, fingerprint, archive)
    bury(tracker, bench.output_dir)
    bench.restore()
    again = f"{sync_command(bench.output_dir)} for its runs, and the same command again for the rest"
    led = Path(bench.output_dir) / "sweeps" / f"{study.id}-{os.getpid()}"
    end = closing(tracker.uri, tracker.parent, again)
    with leading(tracker, led) as tags, end as telling, needing(tracker.uri):
        for tag, value in tags.items():
            client.set_tag(tracker.parent, tag, value)
        try:
            searched = _search(bench, compose_own)
            setting = _setting(jobs[study.baseline], bench.registration.arms[study.baseline])
            findings = _confirm(bench, searched, {**_facts(parent.run, name), **setting})
        except (KeyboardInterrupt, SystemExit):  # a launcher that is stopped kills its workers, and those say nothing
            bury(tracker, bench.output_dir)
            bench.keep()
            raise
        report = write_study(findings, folder)
        write_book(folder)
        telling(lambda: _publish(findings, report, tracker, client))
    print(f"{headline(findings)}\nreport:    {report}\n{tracker.where(bench.output_dir)}")  # noqa: T201
    say_failures(bench.outcomes)
    return bench.outcomes


def _publish(findings: Findings, report: Path, tracker: Tracker, client: MlflowClient) -> None:
    """Show the verdict, the report and the arms' aggregates in the store."""
    study, parent = findings.record.study, str(tracker.parent)
    client.log_artifact(parent, str(report), "report")
    client.log_artifacts(parent, str(report.with_suffix("")), f"report/{study.id}")
    describe_study(client, parent, f"{headline(findings)}\n\n{verdict_table(findings)}")
    for arm, numbers in aggregates(findings.record).items():
        summarise_arm(tracker, client, study.id, arm, numbers, {"study": study.id, "arm": arm})


def registered_as(registration: Registration, job: Job) -> str:
    """Return what a registration is known by: content, code and data; a change of any of them makes a new one."""
    return f"{registration.hash}-{code_fingerprint()[:8]}-{job.store.fingerprint[:8]}"


def aggregates(record: Record) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation over seeds, number of seeds and of diverged ones for each arm's outcome.

    The trials of a search stand in the report alone.
    """
    study, found = record.study, {}
    metric, known = study.outcome, [*study.arms, *study.controls, EXPLORATION]
    for arm in [arm for arm in dict.fromkeys(record.runs["arm"]) if arm in known]:
        runs = record.arm(arm)
        values = runs.loc[~runs["diverged"], metric].dropna()
        found[arm] = {"n": float(len(values)), "diverged": float(runs["diverged"].sum())}
        if len(values):
            found[arm] |= {f"mean/{metric}": float(values.mean())}
        if len(values) > 1:
            found[arm] |= {f"sd/{metric}": float(values.std(ddof=1))}
    return found


def _searched(registration: Registration, compose: Compose) -> list[Config]:
    """Return the baseline at each value of the search."""
    study = registration.study
    if study.search is None:
        return []
    trials = of_trials(study).arms
    return [resolved(compose(trials[trial(study.baseline, value)])) for value in study.search.values]


def _search(bench: Bench, compose: Compose) -> Runs:
    """Try every arm at every value of the search, and move the bench on to the arms at the values that are best."""
    registration = bench.registration
    if registration.study.search is None:
        return {}
    bench.registration = at_stage(registration, of_trials(registration.study), compose)
    trials = [*bench.registration.arms]
    say(f"search of {registration.study.search.setting}: {', '.join(trials)}")
    runs = _on_exploration_seeds(bench, trials, registration.study.search.seeds)
    study = record_of(bench, list(runs.values()), {}).study
    bench.registration = at_stage(registration, study, compose)
    say("found: " + "; ".join(f"{arm} at {overrides[-1]}" for arm, overrides in study.arms.items()))
    return runs


def _confirm(bench: Bench, searched: Runs, facts: Mapping[str, str]) -> Findings:
    """Measure the margin, then run and judge look by look."""
    study = bench.registration.study
    runs, margin = _explore(bench, searched)
    going = [*study.arms]
    for look in study.looks:
        arms = list(dict.fromkeys([study.baseline, *going, *study.controls]))
        say(f"look at {look} seeds: {', '.join(arms)}")
        runs |= _by_cell(bench.run(bench.cells(arms, range(look))))
        findings = judge(record_of(bench, list(runs.values()), {**facts, **margin}))
        say(headline(findings))
        going = findings.open_arms(Streams(look).generator(f"futility/{study.id}"))
        if not going:
            break
    return findings


def _explore(bench: Bench, searched: Runs) -> tuple[Runs, dict[str, str]]:
    """Run the baseline on seeds of its own and measure what tokens are worth to it: this freezes the margin.

    Returns the runs of the search too.

    Raises InputError where tokens are worth nothing that could be measured, and SystemExit when a run failed.
    """
    study = bench.registration.study
    stated = {"margin": repr(study.margin.value), "slope": "nan", "exploring": "0"}
    if not outcome_of(study.outcome).curve:
        return searched, stated
    runs = searched | _on_exploration_seeds(bench, [EXPLORATION], EXPLORING)
    curve = record_of(bench, list(runs.values()), {}).curve(EXPLORATION, study.outcome)
    by_tokens = study.margin.unit == "tokens"
    share = study.margin.value if by_tokens else 0.05
    try:
        worth = worth_of_tokens(list(curve.columns), curve.to_numpy(), share, NEAR_END)
    except ValueError as error:
        if not by_tokens:
            return runs, stated
        raise InputError(f"study.margin in tokens needs a slope of {study.outcome}: {error}") from error
    measured = {"slope": repr(worth.slope), "exploring": str(len(curve))}
    return runs, {**stated, **measured, **({"margin": repr(worth.delta)} if by_tokens else {})}


def _on_exploration_seeds(bench: Bench, arms: Sequence[str], seeds: int) -> Runs:
    """Run some arms on the seeds that no contrast uses. Raises SystemExit when a run failed."""
    cells = bench.cells(arms, range(FIRST_EXPLORING, FIRST_EXPLORING + seeds))
    runs = _by_cell(bench.run(cells))
    if len(runs) < len(cells):
        say_failures(bench.outcomes)
    return runs


def _check_curve(study: Study, job: Job) -> None:
    """Raise InputError where the baseline's curve has too few points for a margin that is stated in tokens."""
    steps = job.parts.evaluation.steps(job.steps, job.form.tokens, job.form.length, job.evaluation.last_passes)
    there = sum(step >= job.steps * (1 - NEAR_END) for step in steps)
    if study.margin.unit == "tokens" and there < POINTS:
        raise InputError(
            f"study.margin in tokens needs {POINTS} evaluations in the last {NEAR_END:.0%} of a run, got {there}; "
            f"raise evaluation.share, now {job.parts.evaluation.share:g}, or budget.tokens, or state nats"
        )


def _by_cell(runs: list[tuple[Cell, Run]]) -> Runs:
    return {(cell.arm, cell.seed): (cell, run) for cell, run in runs}


def _about(registration: Registration) -> dict[str, str]:
    command = " ".join(["python -m bertlab.run", *map(shlex.quote, sys.argv[1:])])
    now = datetime.now(UTC).isoformat(timespec="seconds")
    own = {"bertlab.command": command, "bertlab.code": code_fingerprint(), "study": registration.study.id}
    return {REGISTERED: now, **own}


def _facts(parent: Run, name: str) -> dict[str, str]:
    tags = parent.data.tags
    return {
        "registration": name,
        "registered": tags[REGISTERED],
        "command": tags["bertlab.command"],
        "code": tags["bertlab.code"],
        "version": __version__,
    }


def _setting(job: Job, config: Mapping[str, Any]) -> dict[str, str]:
    """Say what the baseline is trained on and how: the regime that a verdict holds for."""
    facts, model, batch, optimizer = job.store.facts, config["model"], config["batch"], config["optimizer"]
    return {
        "corpus": f"{facts['source']}; training {facts['train']}; held out {facts['valid']}",
        "licence": facts.get("licence", "not stated"),
        "evaluation": yardstick(config["evaluation"]),
        "fingerprint": job.store.fingerprint,
        "model": f"{model['layers']} layers, width {model['width']}, {model['heads']} heads",
        "budget": f"{job.steps:,} steps of {batch['size']} sequences of {batch['length']} tokens",
        "optimizer": f"{optimizer['_target_'].rpartition('.')[2]}, learning rate {optimizer['lr']:g}",
    }


def _announce(study: str, name: str, others: tuple[str, ...] | None) -> None:
    if others is None:
        say(f"study {study} goes on as registered: {name}")
    elif others:
        say(f"study {study}, its code or its data changed since {others[0]}: this is a new registration, {name}")
    else:
        say(f"study {study} is registered: {name}")
