"""Early checks of a study, before torch is imported and arms are built."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bertlab.config.compose import choices, resolved
from bertlab.config.errors import InputError
from bertlab.evaluation.curve import LAST, PAIRS_A_TEXT, steps_to_evaluate
from bertlab.study.arms import Compose, Registration, register, with_starts
from bertlab.study.design import Study
from bertlab.study.registration import read_study
from bertlab.tasks.own import KINDS, MEAN, Asked, Tasks
from bertlab.train.early import check_early, form_of, steps_of

POINTS = 3  # evaluations needed for a slope
TUNED, TUNINGS = "eval/finetuned", 3  # outcomes of fine-tuning, and the least number of fine-tunings per run
OF_TASK = re.compile(r"eval/tasks\.([\w-]+)\.")  # outcomes of the user's own tasks
NEAR_END = 0.75  # share of the tokens where the slope is measured; at least three evaluations must fall there


def check_study(compose: Compose) -> None:
    """Check the study's file, then whether its baseline can have a margin, then all arms. Raises InputError."""
    config = resolved(compose([]))
    study = with_starts(read_study(config), config)
    baseline = resolved(compose(study.arms[study.baseline]))
    check_early([baseline])
    check_points(study, *least_evaluation(baseline))
    check_arms(compose)


def check_rung(compose: Compose) -> None:
    """Refuse a ladder without a chosen rung, and a rung in a regime other than its own."""
    config = compose([])
    study = read_study(resolved(config))
    if study.ladder and not study.rung:
        raise InputError(
            f"rung must be one of {', '.join(study.ladder)}, got nothing; write rung={next(iter(study.ladder))}"
        )
    if study.rung and (regime := choices(config).get("regime")) != study.rung:
        raise InputError(f"regime must be that of the rung {study.rung}, got {regime}; write rung={study.rung} alone")


def check_arms(compose: Compose) -> None:
    """Check the study's file, and every value of its arms and controls. Raises InputError."""
    registration = register(compose)
    _check_tuning(registration)
    check_early([*registration.arms.values(), *registration.controls.values()])


def _check_tuning(registration: Registration) -> None:
    """Refuse a study of fine-tuned models with so few fine-tunings that chance would decide."""
    study = registration.study
    evaluation = registration.arms[study.baseline]["evaluation"]
    key, seeds = "evaluation.finetune_seeds", evaluation["finetune_seeds"]
    if found := OF_TASK.match(study.outcome):
        key, seeds = "evaluation.tasks.seeds", _seeds(found[1], evaluation, study.outcome)
    elif not study.outcome.startswith(TUNED):
        return
    if seeds < TUNINGS:
        raise InputError(
            f"{key} must be at least {TUNINGS} for a study of {study.outcome}, got {seeds}; set it beside `study`"
        )


def _seeds(name: str, evaluation: Mapping[str, Any], outcome: str) -> int:
    """Return how often a task is fine-tuned; TUNINGS if nothing is random. Raises InputError for an unknown task."""
    settings = {key: value for key, value in evaluation.get("tasks", {}).items() if key != "_target_"}
    asked = {task.name: task for task in Tasks(**settings).asked} if settings else {}
    if name == MEAN and len(asked) > 1:
        return min(_draws(task) for task in asked.values())
    if name not in asked:
        raise InputError(
            f"study.outcome must name a task of the study, got {outcome}, and the tasks {', '.join(asked) or 'none'}; "
            "add it to evaluation.tasks.list"
        )
    return _draws(asked[name])


def _draws(task: Asked) -> int:
    """Return how often a task is fine-tuned; TUNINGS if nothing is random."""
    is_tuned = KINDS[task.kind].head != "alternatives" and task.tuning.method == "finetune"
    return task.tuning.seeds if is_tuned else TUNINGS


def least_evaluation(config: Mapping[str, Any]) -> tuple[Sequence[int], int, float]:
    """Return evaluation steps with the cheapest possible last measures, all steps, and the share."""
    form, evaluation = form_of(config), config["evaluation"]
    total, share = steps_of(config, form), evaluation["share"]
    last = LAST + len({evaluation["rate"], *evaluation["grid"]})
    last += (1 + PAIRS_A_TEXT) * evaluation.get("final", 0) / evaluation["sequences"]
    text = evaluation["sequences"] * form.length
    return steps_to_evaluate(total, form.tokens, text, share=share, last_passes=last), total, share


def check_points(study: Study, steps: Sequence[int], total: int, share: float) -> None:
    """Raise InputError if the baseline's curve has too few points for a margin in tokens."""
    there = sum(step >= total * (1 - NEAR_END) for step in steps)
    if study.margin.unit == "tokens" and there < POINTS:
        raise InputError(
            f"study.margin in tokens needs {POINTS} evaluations in the last {NEAR_END:.0%} of a run, got {there}; "
            f"raise evaluation.share, now {share:g}, or budget.tokens, or state nats"
        )
