"""What is wrong with a study and can be said at once: before torch is imported and before any arm is built."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertlab.config.compose import resolved
from bertlab.config.errors import InputError
from bertlab.evaluation.curve import LAST, PAIRS_A_TEXT, steps_to_evaluate
from bertlab.study.arms import Compose, Registration, register
from bertlab.study.design import Study
from bertlab.study.registration import read_study
from bertlab.train.early import check_early, form_of, steps_of

POINTS = 3  # evaluations that a slope needs
TUNED, TUNINGS = "eval/finetuned", 3  # outcomes of fine-tuned models, and how often each run is fine-tuned at least
NEAR_END = 0.75  # of the tokens: where the slope is taken, so that at least three evaluations stand there


def check_study(compose: Compose) -> None:
    """Check what a study says, then whether its baseline can have a margin, then all arms. Raises InputError."""
    study = read_study(resolved(compose([])))
    baseline = resolved(compose(study.arms[study.baseline]))
    check_early([baseline])
    check_points(study, *least_evaluation(baseline))
    check_arms(compose)


def check_arms(compose: Compose) -> None:
    """Check what a study says, and every value of its arms and controls. Raises InputError."""
    registration = register(compose)
    _check_tuning(registration)
    check_early([*registration.arms.values(), *registration.controls.values()])


def _check_tuning(registration: Registration) -> None:
    """Refuse a study of fine-tuned models that tunes each so few times that chance of tuning decides."""
    study = registration.study
    seeds = registration.arms[study.baseline]["evaluation"]["finetune_seeds"]
    if study.outcome.startswith(TUNED) and seeds < TUNINGS:
        raise InputError(
            f"evaluation.finetune_seeds must be at least {TUNINGS} for a study of {study.outcome}, got {seeds}; set it "
            "beside `study`"
        )


def least_evaluation(config: Mapping[str, Any]) -> tuple[Sequence[int], int, float]:
    """Return the steps to evaluate after if the last measures cost as little as they can, all steps, and the share."""
    form, evaluation = form_of(config), config["evaluation"]
    total, share = steps_of(config, form), evaluation["share"]
    last = LAST + len({evaluation["rate"], *evaluation["grid"]})
    last += (1 + PAIRS_A_TEXT) * evaluation.get("final", 0) / evaluation["sequences"]
    text = evaluation["sequences"] * form.length
    return steps_to_evaluate(total, form.tokens, text, share=share, last_passes=last), total, share


def check_points(study: Study, steps: Sequence[int], total: int, share: float) -> None:
    """Raise InputError where the baseline's curve has too few points for a margin that is stated in tokens."""
    there = sum(step >= total * (1 - NEAR_END) for step in steps)
    if study.margin.unit == "tokens" and there < POINTS:
        raise InputError(
            f"study.margin in tokens needs {POINTS} evaluations in the last {NEAR_END:.0%} of a run, got {there}; "
            f"raise evaluation.share, now {share:g}, or budget.tokens, or state nats"
        )
