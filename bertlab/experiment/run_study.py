"""Running a registered study: register -> check -> run sequentially -> report.

Enters: a study's configuration and a launcher: the study decides which runs, the launcher where. Typing the same
command again goes on where it stopped.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hydra.plugins.launcher import Launcher
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from omegaconf import DictConfig

from bertlab import __version__
from bertlab.config.building import build_parts
from bertlab.config.compose import resolved
from bertlab.config.errors import InputError
from bertlab.config.own import own_folder
from bertlab.config.redact import redacted
from bertlab.data.weights import INIT
from bertlab.experiment.sequential import check_curve, run_sequentially
from bertlab.experiment.study_runs import StudyRuns, say
from bertlab.experiment.trunk import check_fits
from bertlab.ledger.archive import ARCHIVE
from bertlab.ledger.result import Outcome
from bertlab.report.book import write_book
from bertlab.report.ladder import keep_predictions, write_ladder
from bertlab.report.study import write_study
from bertlab.report.study.publish import publish_design, publish_study
from bertlab.study.arms import Compose, Config, Registration, register
from bertlab.study.judge import Findings
from bertlab.study.ladder import FEWEST, PREDICTIONS, Ladder, fingerprint, predict, read_ladder, read_predictions
from bertlab.study.record import EXPLORATION, OWN, PREDICTED, Record
from bertlab.study.search import of_trials, trial
from bertlab.sweep.grid import Grid, checkable
from bertlab.sweep.launch import Overrides
from bertlab.sweep.run import Job, prepare_job
from bertlab.sweep.unsent import bring_unsent
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import REGISTERED, mark_killed_below, register_run, summarise_arm
from bertlab.tracking.retry import needing
from bertlab.tracking.reuse import mark_killed
from bertlab.tracking.run_log import closing_parent, sync_command
from bertlab.tracking.sweep_lock import lead_sweep, leased


@dataclass(frozen=True)
class StudyEnd:
    """How a study ended: how the jobs that were launched did, and what was found."""

    outcomes: Sequence[Outcome]
    findings: Findings
    page: Path
    where: str  # the lines that show where to look at the runs


def conduct(grid: Grid, compose: Callable[[Overrides], DictConfig], launcher: Launcher, folder: Path) -> StudyEnd:
    """Run a study until it is decided or its last look is over, and leave its report in `folder`.

    Raises InputError before anything has run for a study that cannot run, and SystemExit with code 1 when a run failed
    that others rest on; the same command then runs what is missing.
    """

    def compose_own(own: Sequence[str]) -> DictConfig:
        return compose([*grid.fixed, *own])

    registration = register(compose_own)
    study, tracker = registration.study, _tracker(registration)
    tracker.look()
    job = _checked(registration, compose_own, launcher)
    for place in (Path(str(registration.arms[study.baseline]["output_dir"])), folder):
        place.mkdir(parents=True, exist_ok=True)  # one that cannot be made is an error before a store is
    client = tracker.connect()
    name = registered_as(registration, job)
    archive = folder / study.place / ARCHIVE
    study_runs = StudyRuns(registration, grid.fixed, launcher, tracker, client, job.store.fingerprint, archive)
    with leased(tracker, client, name):  # who typed the same elsewhere waits, and finds the runs
        return _lead(study_runs, compose_own, job, name, folder, grid.command)


def _lead(study_runs: StudyRuns, compose: Compose, job: Job, name: str, folder: Path, command: str) -> StudyEnd:
    """Run a registered study whose lease is held."""
    study, tracker, client = study_runs.registration.study, study_runs.tracker, study_runs.client
    parent = register_run(tracker, client, study.place, name, _about(study_runs.registration, command))
    tracker.parent = str(parent.run.info.run_id)
    _announce(study.place, name, parent.others if parent.is_new else None)
    mark_killed(tracker, study_runs.output_dir)
    mark_killed_below(tracker, client, tracker.parent, study_runs.output_dir)
    bring_unsent(tracker, study_runs.output_dir)
    study_runs.restore()
    again = f"{sync_command(study_runs.output_dir)} for its runs, and the same command again for the rest"
    led = Path(study_runs.output_dir) / "sweeps" / f"{study.place.replace('/', '-')}-{os.getpid()}"
    end = closing_parent(tracker.uri, tracker.parent, again)
    with lead_sweep(tracker, led) as tags, end as study_runs.telling, needing(tracker.uri):
        for tag, value in tags.items():
            client.set_tag(tracker.parent, tag, value)
        publish_design(client, tracker.parent, study)
        predicted = _predict(study_runs, job, folder)
        try:
            findings = run_sequentially(study_runs, compose, job, _facts(parent.run, name) | predicted)
        except (KeyboardInterrupt, SystemExit):  # a launcher that is stopped kills its workers, and those say nothing
            study_runs.telling(lambda: mark_killed(tracker, study_runs.output_dir))
            study_runs.keep()
            raise
        report = write_study(findings, folder)
        study_runs.drop_earlier()
        page = write_ladder(folder, study.id) if study.rung else report
        write_book(folder)
        study_runs.telling(lambda: _publish(findings, report, tracker, client))
    return StudyEnd(study_runs.outcomes, findings, page, tracker.where(study_runs.output_dir))


def _predict(study_runs: StudyRuns, baseline: Job, folder: Path) -> dict[str, str]:
    """Register what a rung should show, before its first run; return the fact that its record keeps of that.

    Nothing is predicted where runs of the arms are there already, or fewer than two rungs below.
    """
    study, own = study_runs.registration.study, folder / study_runs.registration.study.id
    if not study.rung:
        return {}
    known, ladder = read_predictions(own), read_ladder(own)
    if study.rung not in {each.rung for each in known}:
        below = replace(ladder or Ladder(study, {}), study=study).below(study.rung)
        arms = [arm for arm in study.arms if arm != study.baseline]
        if len(below.rungs) < FEWEST:
            say(f"nothing is predicted: that takes {FEWEST} rungs below {study.rung}, and {len(below.rungs)} have run")
            return {}
        if study_runs.has_any(study_runs.cells(arms, range(study.seeds))):
            say(f"nothing is predicted: runs of {study.rung} are there already")
            return {}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        known = (*known, *predict(below, study.rung, _compute(baseline), now))
        keep_predictions(own, study.id, known)
        say(f"predicted from {', '.join(below.rungs)}: {own / PREDICTIONS} (commit it before the runs are judged)")
    study_runs.client.log_artifact(str(study_runs.tracker.parent), str(own / PREDICTIONS))
    return {PREDICTED: fingerprint(known, study.rung)}


def _compute(job: Job) -> float:
    """Return the FLOPs of a run as `perf/flops` counts them, from a step in its middle."""
    return float(job.steps * job.count_flops(job.build_model()).of_step(job.batches(job.steps // 2)))


def _tracker(registration: Registration) -> Tracker:
    """Return where the study's runs are recorded. Raises InputError where they would not be at once."""
    tracker: Tracker = build_parts(registration.arms[registration.study.baseline]).tracking
    if tracker.offline:
        raise InputError(
            "tracking.offline must be false for a study, got true: its looks are judged in a store; leave it and "
            "tracking.uri unset to use a local file, which needs no network"
        )
    return tracker


def _checked(registration: Registration, compose: Compose, launcher: Launcher) -> Job:
    """Check a job of every arm and control, and of the baseline at every value of the search; return the baseline's."""
    study = registration.study
    baseline = prepare_job(registration.arms[study.baseline])
    check_curve(study, baseline)  # before the others are built
    for config in [*registration.arms.values(), *registration.controls.values(), *_searched(registration, compose)]:
        prepare_job(checkable(config, launcher)).check()
    if registration.trunk is not None:
        _check_trunk(registration, prepare_job(checkable(registration.trunk, launcher)))
    return baseline


def _check_trunk(registration: Registration, trunk: Job) -> None:
    """Refuse a trunk that cannot be trained, and one whose weights an arm has no place for."""
    trunk.check()
    controls = {f"controls.{name}": config for name, config in registration.controls.items()}
    for name, config in ({f"arms.{name}": arm for name, arm in registration.arms.items()} | controls).items():
        if config["start"]["missing"] != INIT:
            check_fits(name, prepare_job(config), trunk)


def _publish(findings: Findings, report: Path, tracker: Tracker, client: MlflowClient) -> None:
    """Show the verdict, the report and the arms' aggregates in the store."""
    study = findings.record.study
    publish_study(client, str(tracker.parent), findings, report)
    for arm, numbers in aggregates(findings.record).items():
        summarise_arm(tracker, client, study.place, arm, numbers, {"study": study.place, "arm": arm})


def registered_as(registration: Registration, job: Job) -> str:
    """Return what a registration is known by: content, code and data; a change of any of them makes a new one."""
    return f"{registration.hash}-{registration.code[:8]}-{job.store.fingerprint[:8]}"


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


def _about(registration: Registration, command: str) -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    own = {"bertlab.command": command, "bertlab.code": registration.code, "study": registration.study.place}
    return {REGISTERED: now, **own}


def _facts(parent: Run, name: str) -> dict[str, str]:
    tags = parent.data.tags
    return {
        "registration": name,
        "registered": tags[REGISTERED],
        "command": redacted(tags["bertlab.command"]),
        "code": tags["bertlab.code"],
        "version": __version__,
        **({} if (folder := own_folder()) is None else {OWN: folder.name}),
    }


def _announce(study: str, name: str, others: tuple[str, ...] | None) -> None:
    if others is None:
        say(f"study {study} goes on as registered: {name}")
    elif others:
        say(f"study {study}, its code or its data changed since {others[0]}: this is a new registration, {name}")
    else:
        say(f"study {study} is registered: {name}")
