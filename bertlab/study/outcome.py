"""Possible outcomes of a study: measures of the common evaluation, which scores the same positions in all arms.

Training losses are excluded: arms with other masks or examples have other training losses by construction.
"""

from bertlab.config.errors import InputError
from bertlab.evaluation.measures import MEASURES, PREFIX, Measure, measure_of

OUTCOMES = tuple(each for each in MEASURES if each.judges)
CURVES = {  # final measures -> the measure with a curve that ends there
    "eval/final_loss": "eval/mlm_loss",
    "eval/final_pair_accuracy": "eval/pair_accuracy",
}
MARGINS = ("tokens", "nats", "share", "ln_tokens")  # possible units of a margin


def outcome_of(metric: str, key: str = "outcome") -> Measure:
    """Return the measure of a metric that `key` names. Raises InputError if no study can be judged by it."""
    measure = measure_of(metric)
    if measure is None or not measure.judges:
        plain = ", ".join(PREFIX + each.name for each in OUTCOMES if each.is_one)
        raise InputError(f"study.{key} must be a measure of the common evaluation, got {metric}; choose one of {plain}")
    return measure


def curve_name(metric: str) -> str:
    """Return the metric with a curve for one that may be measured only at the end."""
    return CURVES.get(metric, metric)


def margin_units(outcome: Measure) -> tuple[str, ...]:
    """Return the possible units of a margin: the outcome's own, and training tokens if it has a curve."""
    return ("tokens", outcome.unit) if outcome.curve else (outcome.unit,)
