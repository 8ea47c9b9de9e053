"""Runs a registered study: register -> check -> run sequentially -> report.

Enters: a study's configuration and a launcher. The study decides which runs are made, the launcher where. The same
command continues an interrupted study.
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
from bertlab.tracking.archive import ARCHIVE
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import REGISTERED, mark_killed_below, register_run, summarise_arm
from bertlab.tracking.result import Outcome
from bertlab.tracking.retry import needing
from bertlab.tracking.reuse import mark_killed
from bertlab.tracking.run_log import closing_parent, sync_command
from bertlab.tracking.sweep_lock import lead_sweep, leased


@dataclass(frozen=True)
class StudyEnd:
    """The result of a study: the outcomes of the launched jobs, and the findings."""

    outcomes: Sequence[Outcome]
    findings: Findings
    page: Path
    where: str  # lines that say how to look at the runs


def conduct(grid: Grid, compose: Callable[[Overrides], DictConfig], launcher: Launcher, folder: Path) -> StudyEnd:
    """Run a study until it is decided or its last look is over, and write its report into `folder`.

    Raises InputError before the first run if the study cannot run, and SystemExit with code 1 if a run failed that
    others need; the same command then makes the missing runs.
    """

    def compose_own(own: Sequence[str]) -> DictConfig:
        return compose([*grid.fixed, *own])

    # check the whole study before anything runs
    registration = register(compose_own)
    study, tracker = registration.study, _tracker(registration)
    tracker.look()
    job = _checked(registration, compose_own, launcher)
    for place in (Path(str(registration.arms[study.baseline]["output_dir"])), folder):
        # a folder that cannot be created is an error before MLflow has an entry
        place.mkdir(parents=True, exist_ok=True)
    client = tracker.connect()
    # one process per registration runs the study
    name = registered_as(registration, job)
    archive = folder / study.place / ARCHIVE
    study_runs = StudyRuns(registration, grid.fixed, launcher, tracker, client, job.store.fingerprint, archive)
    with leased(tracker, client, name):  # the same command elsewhere waits here, and then finds the runs
        return _lead(study_runs, compose_own, job, name, folder, grid.command)


def _lead(study_runs: StudyRuns, compose: Compose, job: Job, name: str, folder: Path, command: str) -> StudyEnd:
    """Run a registered study; the caller holds its lease."""
    study, tracker, client = study_runs.registration.study, study_runs.tracker, study_runs.client
    # find or create the study's parent run
    parent = register_run(tracker, client, study.place, name, _about(study_runs.registration, command))
    tracker.parent = str(parent.run.info.run_id)
    _announce(study.place, name, parent.others if parent.is_new else None)
    # clean up: dead runs, missed uploads; unpack the archive
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
        # register predictions, then run and judge look by look
        predicted = _predict(study_runs, job, folder)
        try:
            findings = run_sequentially(study_runs, compose, job, _facts(parent.run, name) | predicted)
        except (KeyboardInterrupt, SystemExit):  # a stopped launcher kills its workers, which then cannot report
            study_runs.telling(lambda: mark_killed(tracker, study_runs.output_dir))
            study_runs.keep()
            raise
        # write the report, the ladder's page and the answer book, then upload
        report = write_study(findings, folder)
        study_runs.drop_earlier()
        page = write_ladder(folder, study.id) if study.rung else report
        write_book(folder)
        study_runs.telling(lambda: _publish(findings, report, tracker, client))
    return StudyEnd(study_runs.outcomes, findings, page, tracker.where(study_runs.output_dir))


def _predict(study_runs: StudyRuns, baseline: Job, folder: Path) -> dict[str, str]:
    """Register the predictions for a rung before its first run; return the fact for its record.

    Predicts nothing if runs of the arms exist already, or if fewer than two rungs are below.
    """
    study, own = study_runs.registration.study, folder / study_runs.registration.study.id
    if not study.rung:
        return {}
    known, ladder = read_predictions(own), read_ladder(own)
    if study.rung not in {each.rung for each in known}:
        # predict only from rungs below and only before any run of this rung
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
    """Return the FLOPs of a run as in `perf/flops`, from a step in its middle."""
    return float(job.steps * job.count_flops(job.build_model()).of_step(job.batches(job.steps // 2)))


def _tracker(registration: Registration) -> Tracker:
    """Return the study's tracker. Raises InputError if it is offline."""
    tracker: Tracker = build_parts(registration.arms[registration.study.baseline]).tracking
    if tracker.offline:
        raise InputError(
            "tracking.offline must be false for a study, got true: its looks are judged in a store; leave it and "
            "tracking.uri unset to use a local file, which needs no network"
        )
    return tracker


def _checked(registration: Registration, compose: Compose, launcher: Launcher) -> Job:
    """Check a job of every arm and control, and of the baseline at every search value; return the baseline's job."""
    study = registration.study
    baseline = prepare_job(registration.arms[study.baseline])
    check_curve(study, baseline)  # before the other arms are built
    for config in [*registration.arms.values(), *registration.controls.values(), *_searched(registration, compose)]:
        prepare_job(checkable(config, launcher)).check()
    if registration.trunk is not None:
        _check_trunk(registration, prepare_job(checkable(registration.trunk, launcher)))
    return baseline


def _check_trunk(registration: Registration, trunk: Job) -> None:
    """Refuse a trunk that cannot be trained, and one with weights that do not fit an arm."""
    trunk.check()
    controls = {f"controls.{name}": config for name, config in registration.controls.items()}
    for name, config in ({f"arms.{name}": arm for name, arm in registration.arms.items()} | controls).items():
        if config["start"]["missing"] != INIT:
            check_fits(name, prepare_job(config), trunk)


def _publish(findings: Findings, report: Path, tracker: Tracker, client: MlflowClient) -> None:
    """Write verdict, report and the arms' aggregates to the store."""
    study = findings.record.study
    publish_study(client, str(tracker.parent), findings, report)
    for arm, numbers in aggregates(findings.record).items():
        summarise_arm(tracker, client, study.place, arm, numbers, {"study": study.place, "arm": arm})


def registered_as(registration: Registration, job: Job) -> str:
    """Return the identity of a registration: content, code and data; a change of any of them makes a new one."""
    return f"{registration.hash}-{registration.code[:8]}-{job.store.fingerprint[:8]}"


def aggregates(record: Record) -> dict[str, dict[str, float]]:
    """Return for each arm's outcome: mean, standard deviation over seeds, number of seeds and of diverged runs.

    The trials of a search are only in the report.
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
        say(f"study {study} continues as registered: {name}")
    elif others:
        say(f"study {study}, its code or its data changed since {others[0]}: this is a new registration, {name}")
    else:
        say(f"study {study} is registered: {name}")
