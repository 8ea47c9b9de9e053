"""What a study may be judged by: measures of the common evaluation, on which all arms score the same positions.

Training losses are not among them: arms with other masks or examples have other training losses by construction.
"""

from bertlab.config.errors import InputError
from bertlab.evaluation.measures import MEASURES, PREFIX, Measure, measure_of

OUTCOMES = tuple(each for each in MEASURES if each.judges)
CURVES = {  # of measures that are taken at the end alone, the curve whose end they measure better
    "eval/final_loss": "eval/mlm_loss",
    "eval/final_pair_accuracy": "eval/pair_accuracy",
}
MARGINS = ("tokens", "nats", "share", "ln_tokens")  # units in which a margin may be stated


def outcome_of(metric: str, key: str = "outcome") -> Measure:
    """Return what is known of a metric that `key` names. Raises InputError for one that no study may be judged by."""
    measure = measure_of(metric)
    if measure is None or not measure.judges:
        plain = ", ".join(PREFIX + each.name for each in OUTCOMES if each.is_one)
        raise InputError(f"study.{key} must be a measure of the common evaluation, got {metric}; choose one of {plain}")
    return measure


def curve_name(metric: str) -> str:
    """Return the metric that is followed along a run for one that may be measured at its end alone."""
    return CURVES.get(metric, metric)


def margin_units(outcome: Measure) -> tuple[str, ...]:
    """Return the units that a margin on the outcome may have: its own, and training tokens where it has a curve."""
    return ("tokens", outcome.unit) if outcome.curve else (outcome.unit,)
