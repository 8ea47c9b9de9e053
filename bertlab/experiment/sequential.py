"""Sequential execution of a study: search -> measure the margin -> run up to each look and judge.

Enters: the runs of a registered study. Leaves: the findings of the last look that was needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlflow.entities import Run

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted_settings
from bertlab.experiment.study_runs import StudyRun, StudyRuns, record_of, say
from bertlab.identity.key import SOUND
from bertlab.identity.text_and_scoring import corpus_of, scoring_of
from bertlab.report.study import headline
from bertlab.stats.margin import worth_of_tokens
from bertlab.streams import Streams
from bertlab.study.arms import Compose, at_stage
from bertlab.study.design import Study
from bertlab.study.early import check_points
from bertlab.study.judge import Findings, judge
from bertlab.study.outcome import outcome_of
from bertlab.study.record import EXPLORATION, RULE, RULE_NOW
from bertlab.study.regime import Budget, FrozenMargin, ModelSize, Optimizer, Regime, StartWeights
from bertlab.study.search import EXTENSIONS, beyond_ends, of_trials, trial
from bertlab.study.text import check_text, too_little_text
from bertlab.study.worth import slope_part
from bertlab.sweep.grid import say_failures
from bertlab.sweep.run import Job

FIRST_EXPLORING, EXPLORING = 1000, 3  # seeds for measuring the margin; no confirming run uses them
Runs = dict[tuple[str, int], tuple[StudyRun, Run]]  # by arm and seed


def run_sequentially(study_runs: StudyRuns, compose: Compose, baseline: Job, facts: Mapping[str, str]) -> Findings:
    """Search, measure the margin, then run and judge look by look. `baseline`: a job of that arm; `facts`: in words.

    Raises InputError if the margin cannot be measured, and SystemExit if a run failed that the others need.
    """
    searched = _search(study_runs, compose)
    study = study_runs.registration.study
    regime = regime_of(baseline, study_runs.registration.arms[study.baseline])
    facts = {**facts, **data_facts(baseline), RULE: RULE_NOW}
    runs, frozen = _explore(study_runs, searched)
    _check_text(study_runs, runs)
    going, planned = [*study.arms], dict[str, int]()
    for look in study.looks:
        arms = list(dict.fromkeys([study.baseline, *going, *study.controls]))
        planned |= {arm: study.seeds_at(arm, look) for arm in arms}
        say(f"look at {look} seeds: {', '.join(arms)}")
        cells = [cell for arm in arms for cell in study_runs.cells([arm], range(planned[arm]))]
        runs |= _by_cell(study_runs.run(cells))
        record = record_of(study_runs, list(runs.values()), facts)
        findings = judge(replace(record, frozen=frozen, planned=dict(planned), regime=regime))
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


def _explore(study_runs: StudyRuns, searched: Runs) -> tuple[Runs, FrozenMargin]:
    """Run the baseline on separate seeds and measure its slope per ln(tokens): this freezes the margin.

    Also returns the runs of the search.

    Raises InputError if the slope is not measurably positive, and SystemExit if a run failed.
    """
    study = study_runs.registration.study
    stated = FrozenMargin(study.margin.value)
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
    if by_tokens and worth.rough:
        say(f"the margin, {worth.delta:.3g}, is known to more than 20 % either way: it needs more exploration seeds")
    return runs, FrozenMargin(worth.delta if by_tokens else study.margin.value, worth.slope, len(curve), part)


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


def regime_of(job: Job, config: Mapping[str, Any]) -> Regime:
    """Return the baseline's data and training: the regime for which a verdict holds."""
    model, batch, optimizer = config["model"], config["batch"], config["optimizer"]
    return Regime(
        corpus=corpus_of(job.store),
        scoring=scoring_of(config["evaluation"]),
        model=ModelSize(model["layers"], model["width"], model["heads"]),
        budget=Budget(job.steps, batch["size"], batch["length"]),
        optimizer=Optimizer(optimizer["_target_"].rpartition(".")[2], optimizer["lr"]),
        start=StartWeights(job.start.folder.name, job.start.fingerprint) if job.start else None,
    )


def data_facts(job: Job) -> dict[str, str]:
    """Return what a corpus states about itself in words, and its hash."""
    facts = redacted_settings(dict(job.store.facts))
    return {
        "licence": facts.get("licence", "not stated"),
        **{name: facts[name] for name in SOUND if name in facts},
        "fingerprint": job.store.fingerprint,
    }
