"""Sequential execution of a study: search -> measure the margin -> run up to each look and judge.

Enters: the runs of a registered study. Leaves: the findings of the last look that was needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Run

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted_settings
from bertlab.experiment.study_runs import StudyRun, StudyRuns, record_of, say
from bertlab.report.study import headline
from bertlab.stats.margin import worth_of_tokens
from bertlab.streams import Streams
from bertlab.study.arms import Compose, at_stage
from bertlab.study.design import Study
from bertlab.study.early import check_points
from bertlab.study.judge import Findings, judge
from bertlab.study.outcome import outcome_of
from bertlab.study.record import EXPLORATION, PLANNED, RULE, RULE_NOW, START, planned_text
from bertlab.study.search import EXTENSIONS, beyond_ends, of_trials, trial
from bertlab.study.text import check_text, too_little_text
from bertlab.study.worth import PART, slope_part
from bertlab.sweep.grid import say_failures
from bertlab.sweep.run import Job
from bertlab.tracking.identity import SOUND, scored

FIRST_EXPLORING, EXPLORING = 1000, 3  # seeds for measuring the margin; no confirming run uses them
Runs = dict[tuple[str, int], tuple[StudyRun, Run]]  # by arm and seed


def run_sequentially(study_runs: StudyRuns, compose: Compose, baseline: Job, facts: Mapping[str, str]) -> Findings:
    """Search, measure the margin, then run and judge look by look. `baseline`: a job of that arm; `facts`: in words.

    Raises InputError if the margin cannot be measured, and SystemExit if a run failed that the others need.
    """
    searched = _search(study_runs, compose)
    study = study_runs.registration.study
    setting = setting_of(baseline, study_runs.registration.arms[study.baseline])
    runs, margin = _explore(study_runs, searched)
    _check_text(study_runs, runs)
    going, planned = [*study.arms], dict[str, int]()
    for look in study.looks:
        arms = list(dict.fromkeys([study.baseline, *going, *study.controls]))
        planned |= {arm: study.seeds_at(arm, look) for arm in arms}
        say(f"look at {look} seeds: {', '.join(arms)}")
        cells = [cell for arm in arms for cell in study_runs.cells([arm], range(planned[arm]))]
        runs |= _by_cell(study_runs.run(cells))
        known = {**facts, **setting, **margin, PLANNED: planned_text(planned), RULE: RULE_NOW}
        findings = judge(record_of(study_runs, list(runs.values()), known))
        going = findings.open_arms(Streams(look).generator(f"futility/{study.id}"))
        if not going:
            break
        if look < study.looks[-1]:
            say(headline(findings))  # the command prints the last one
    return findings


def _search(study_runs: StudyRuns, compose: Compose) -> Runs:
    """Try every arm at every value of the search; continue with each arm's best value."""
    registration = study_runs.registration
    if registration.study.search is None:
        return {}
    study_runs.registration = at_stage(registration, of_trials(registration.study), compose)
    trials = [*study_runs.registration.arms]
    say(f"search of {registration.study.search.setting}: {', '.join(trials)}")
    runs = _on_exploration_seeds(study_runs, trials, registration.study.search.seeds)
    for _ in range(EXTENSIONS):
        beyond = beyond_ends(registration.study, record_of(study_runs, list(runs.values()), {}).runs)
        if not beyond:
            break
        more = [trial(arm, value) for arm, values in beyond.items() for value in values]
        study_runs.registration = at_stage(registration, of_trials(registration.study, beyond), compose)
        say(f"best at an end of the tried values, so the search continues: {', '.join(more)}")
        runs |= _on_exploration_seeds(study_runs, more, registration.study.search.seeds)
    study = record_of(study_runs, list(runs.values()), {}).study
    study_runs.registration = at_stage(registration, study, compose)
    say("found: " + "; ".join(f"{arm} at {overrides[-1]}" for arm, overrides in study.arms.items()))
    return runs


def _explore(study_runs: StudyRuns, searched: Runs) -> tuple[Runs, dict[str, str]]:
    """Run the baseline on separate seeds and measure its slope per ln(tokens): this freezes the margin.

    Also returns the runs of the search.

    Raises InputError if the slope is not measurably positive, and SystemExit if a run failed.
    """
    study = study_runs.registration.study
    stated = {"margin": repr(study.margin.value), "slope": "nan", "exploring": "0"}
    if not outcome_of(study.outcome).curve:
        return searched, stated
    runs = searched | _on_exploration_seeds(study_runs, [EXPLORATION], EXPLORING)
    curve = record_of(study_runs, list(runs.values()), {}).curve(EXPLORATION, study.outcome)
    by_tokens = study.margin.unit == "tokens"
    share = study.margin.value if by_tokens else 0.05
    try:
        tokens = [int(each) for each in curve.columns]
        part, fewest = slope_part(tokens)
        worth = worth_of_tokens(tokens, curve.to_numpy(), share, part, fewest)
    except ValueError as error:
        if not by_tokens:
            return runs, stated
        raise InputError(f"study.margin in tokens needs a slope of {study.outcome}: {error}") from error
    measured = {"slope": repr(worth.slope), "exploring": str(len(curve)), PART: f"{part:g}"}
    if by_tokens and worth.rough:
        say(f"the margin, {worth.delta:.3g}, is known to more than 20 % either way: it needs more exploration seeds")
    return runs, {**stated, **measured, **({"margin": repr(worth.delta)} if by_tokens else {})}


def _check_text(study_runs: StudyRuns, runs: Runs) -> None:
    """Warn of too little held-out text. Raises InputError if this is certain and no arm has run yet."""
    study = study_runs.registration.study
    if not runs:
        return
    record = record_of(study_runs, list(runs.values()), {})
    evaluation = study_runs.registration.arms[study.baseline]["evaluation"]
    first = study_runs.cells([arm for arm in study.arms if arm != study.baseline], range(study.looks[0]))
    said = too_little_text(record, evaluation) if study_runs.has_any(first) else check_text(record, evaluation)
    if said:
        say(f"warning: {said}")


def _on_exploration_seeds(study_runs: StudyRuns, arms: Sequence[str], seeds: int) -> Runs:
    """Run some arms on the seeds that no contrast uses. Raises SystemExit if a run failed."""
    cells = study_runs.cells(arms, range(FIRST_EXPLORING, FIRST_EXPLORING + seeds))
    runs = _by_cell(study_runs.run(cells))
    if len(runs) < len(cells):
        say_failures(study_runs.outcomes)
    return runs


def check_curve(study: Study, job: Job) -> None:
    """Raise InputError if the baseline's curve has too few points for a margin in tokens."""
    steps = job.parts.evaluation.steps(job.steps, job.form.tokens, job.form.length, job.evaluation.last_passes)
    check_points(study, steps, job.steps, job.parts.evaluation.share)


def _by_cell(runs: list[tuple[StudyRun, Run]]) -> Runs:
    return {(cell.arm, cell.seed): (cell, run) for cell, run in runs}


def setting_of(job: Job, config: Mapping[str, Any]) -> dict[str, str]:
    """Describe the baseline's data and training: the regime for which a verdict holds."""
    facts, model, batch, optimizer = (
        redacted_settings(dict(job.store.facts)),
        config["model"],
        config["batch"],
        config["optimizer"],
    )
    return {
        "corpus": f"{facts['source']}; training {facts['train']}; held out {facts['valid']}",
        "licence": facts.get("licence", "not stated"),
        **{name: facts[name] for name in SOUND if name in facts},
        "evaluation": scored(config["evaluation"]),
        "fingerprint": job.store.fingerprint,
        **({START: f"{job.start.folder.name}, {job.start.fingerprint}"} if job.start else {}),
        "model": f"{model['layers']} layers, width {model['width']}, {model['heads']} heads",
        "budget": f"{job.steps:,} steps of {batch['size']} sequences of {batch['length']} tokens",
        "optimizer": f"{optimizer['_target_'].rpartition('.')[2]}, learning rate {optimizer['lr']:g}",
    }
