"""What a study may be judged by: measures of the common evaluation, on which all arms score the same positions.

Training losses are not among them: arms with other masks or examples have other training losses by construction.
"""

import re
from dataclasses import dataclass

from bertlab.config.errors import InputError


@dataclass(frozen=True)
class Outcome:
    """A metric of a run, and how to read it."""

    unit: str  # nats, share or ln_tokens
    lower_is_better: bool
    words: str
    curve: bool  # whether it is measured along the run, not at its end alone


NUMBER = r"\d+(\.\d+)?"
LAYER = r"(\.layer_\d+)?"
TASK, SEED = r"[A-Za-z0-9][\w-]*", r"(\.seed_\d+)?"
OUTCOMES = {  # a pattern of the metric's whole name
    "eval/mlm_loss": Outcome("nats", True, "loss on held-out tokens behind [MASK]", True),
    "eval/mlm_accuracy": Outcome("share", False, "held-out tokens behind [MASK] named at once", True),
    "eval/context_gain": Outcome("nats", False, "unigram loss minus the model's loss at the same positions", True),
    "eval/final_loss": Outcome("nats", True, "loss on held-out tokens behind [MASK], of many texts", True),
    "eval/final_pair_accuracy": Outcome("share", False, "held-out pairs of segments told apart, of many", True),
    "eval/captured": Outcome("share", False, "share of what context can give, on a generated language", True),
    "eval/pair_loss": Outcome("nats", True, "loss on held-out pairs of segments", True),
    "eval/pair_accuracy": Outcome("share", False, "held-out pairs of segments told apart", True),
    rf"eval/mlm_loss\.rate_{NUMBER}": Outcome("nats", True, "loss with another share of tokens hidden", False),
    r"eval/mlm_loss\.position_\d+_\d+": Outcome("nats", True, "loss at a range of positions", False),
    r"eval/mlm_loss\.batch_statistics": Outcome("nats", True, "loss, normalised by the evaluated batch", False),
    r"eval/mlm_loss\.chunk_\d+": Outcome("nats", True, "loss on a part of the held-out text", False),
    r"eval/final_loss\.chunk_\d+": Outcome("nats", True, "loss on a part of the final text", False),
    r"eval/final_pair_accuracy\.chunk_\d+": Outcome("share", False, "pairs told apart, a part of them", False),
    r"eval/mlm_loss\.split_\d+_\d+_\d+": Outcome("nats", True, "loss, hidden tokens masked, random or kept", False),
    r"eval/(mlm|pseudo)_loss\.per_byte": Outcome("nats", True, "loss for each byte of the text", False),
    "eval/pseudo_loss": Outcome("nats", True, "loss on one hidden token at a time", False),
    "eval/onset": Outcome("ln_tokens", True, "ln tokens by which context gain passes the floor", False),
    "eval/pseudo_accuracy": Outcome("share", False, "tokens named, one hidden at a time", False),
    "eval/visible_accuracy": Outcome("share", False, "tokens named that stand in unmasked text", False),
    rf"eval/moved_accuracy{LAYER}": Outcome("share", False, "moved words told from others by a probe of states", False),
    rf"eval/sense_accuracy{LAYER}": Outcome("share", False, "senses of words named by a probe of states", False),
    rf"eval/token_share{LAYER}": Outcome("share", True, "variance of states that the word alone explains", False),
    rf"eval/effective_rank{LAYER}": Outcome("share", False, "share of the width that states fill", False),
    "eval/attention_entropy": Outcome("share", False, "spread of attention, as a share of the highest", True),
    "eval/softmax_gradient": Outcome("share", False, "what passes back through the softmax of attention", True),
    "eval/shuffling_cost": Outcome("nats", True, "loss gained by putting the context out of order", False),
    "eval/shortening_cost": Outcome("nats", True, "loss gained by cutting the text in half", False),
    r"eval/finetuned(\.[a-z]+)?\.examples_\d+": Outcome("share", False, "right answers after fine-tuning", False),
    r"eval/finetuned(\.[a-z]+)?\.examples_\d+\.seed_\d+": Outcome("share", False, "likewise, by one seed", False),
    r"eval/frozen(\.[a-z]+)?\.examples_\d+": Outcome("share", False, "right answers by a probe of one state", False),
    rf"eval/tasks\.{TASK}\.(pearson|spearman|matthews){SEED}": Outcome("share", False, "correlation on a task", False),
    rf"eval/tasks\.{TASK}\.(accuracy|exact|\w+_f1){SEED}": Outcome("share", False, "score on a task", False),
    rf"eval/tasks\.{TASK}\.loss": Outcome("nats", True, "loss on other text, one hidden token at a time", False),
    rf"eval/pruning_cost\.heads_{NUMBER}": Outcome("nats", True, "loss gained by leaving heads out", False),
}
CURVES = {  # of measures that are taken at the end alone, the curve whose end they measure better
    "eval/final_loss": "eval/mlm_loss",
    "eval/final_pair_accuracy": "eval/pair_accuracy",
}
MARGINS = ("tokens", "nats", "share", "ln_tokens")  # units in which a margin may be stated


def outcome_of(metric: str) -> Outcome:
    """Return what is known of a metric. Raises InputError for one that no study may be judged by."""
    for pattern, outcome in OUTCOMES.items():
        if re.fullmatch(pattern, metric):
            return outcome
    plain = ", ".join(name for name in OUTCOMES if re.fullmatch(name, name))
    raise InputError(f"study.outcome must be a measure of the common evaluation, got {metric}; choose one of {plain}")


def curve_name(metric: str) -> str:
    """Return the metric that is followed along a run for one that may be measured at its end alone."""
    return CURVES.get(metric, metric)


def margin_units(outcome: Outcome) -> tuple[str, ...]:
    """Return the units that a margin on the outcome may have: its own, and training tokens where it has a curve."""
    return ("tokens", outcome.unit) if outcome.curve else (outcome.unit,)
