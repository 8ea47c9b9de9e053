"""The keys of a study's file: type, example and meaning, in the order of reading.

`bertlab.study.registration` reads files by this table; `python -m scripts.keys` writes its documentation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bertlab.stats.claim import Expectation
from bertlab.study import values
from bertlab.study.outcome import MARGINS
from bertlab.study.reading import EXAMPLES


@dataclass(frozen=True)
class Key:
    """A key of a study's file. A value may depend on the keys before it."""

    holds: str
    meaning: str
    read: Callable[[Any, Mapping[str, Any]], Any]  # raises InputError
    needed: bool = False


NAMED = "small letters, digits, _; at most 64"
KEYS: Mapping[str, Key] = {
    "id": Key(NAMED, "name of its page and folder", values.read_id, True),
    "question": Key("text", "the question", partial(values.read_words, "question"), True),
    "claim": Key("text", "the statement to support or to refute", partial(values.read_words, "claim"), True),
    "arms": Key(
        f"names ({NAMED}), each with a list of key=value",
        "what is compared, at least two arms",
        values.read_arms,
        True,
    ),
    "baseline": Key("an arm", "the arm that others are compared with, seed by seed", values.read_baseline, True),
    "factors": Key(
        "keys or groups", "what arms may change; not data, tokenizer, evaluation", values.read_factors, True
    ),
    "expects": Key(
        f"for an arm one of {', '.join(each.value for each in Expectation)}",
        "what the claim expects of it; other arms are exploratory",
        values.read_expects,
        True,
    ),
    "against": Key("for an arm another arm", "compares it with that one, not the baseline", values.read_against),
    "outcome": Key("a measure: docs/measures.md", "the measure that decides the claim", values.read_outcome, True),
    "secondary": Key("measures", "shown too, without a verdict", values.read_secondary),
    "margin": Key(
        f"one of {', '.join(MARGINS)}: a number",
        "the smallest difference that matters; tokens: the effect of this share more training",
        values.read_margin,
        True,
    ),
    "family": Key("a word", "studies that share it are corrected together", partial(values.read_words, "family"), True),
    "ladder": Key(
        "for a regime the most seeds", "regimes of growing compute; `rung=` chooses the one to run", values.read_ladder
    ),
    "rung": Key("a regime of the ladder", "set by rung=; not for a file", values.read_rung),
    "seeds": Key(f"a whole number from {values.FEWEST} on", "the maximum of each arm", values.read_seeds, True),
    "looks": Key(
        "ascending whole numbers, the last is seeds", "after how many seeds it is judged", values.read_looks, True
    ),
    "axis": Key(f"one of {', '.join(values.AXES)}", "the budget in which arms are equal", values.read_axis, True),
    "floor": Key("[0, 100]", "least context gain of the baseline, in nats", values.read_floor, True),
    "controls": Key(
        "same and harmful, each with a list of key=value",
        "changes of the baseline: one must be equivalent, one must be worse",
        values.read_controls,
        True,
    ),
    "trend": Key(
        "factor, and scale: linear or log", "an ordered factor, to show the outcome along it", values.read_factor_trend
    ),
    "search": Key(
        "setting, ascending values, seeds",
        "each arm gets the best of these values, found on seeds that no contrast uses",
        values.read_search,
    ),
    "published": Key(
        f"a list of source, says, status ({', '.join(values.STATUSES)}), and size, agrees where known",
        "published results",
        values.read_published,
    ),
    "prior": Key(
        "variance, df, contrasts", "usual variance of a difference in the regime: `bertlab plan`", values.read_prior
    ),
    "bank": Key("a whole number from seeds on", "number of baseline runs for an unpaired comparison", values.read_bank),
    "trunk": Key(
        "overrides and tokens", "common start of all arms of a seed; the margin is not in tokens", values.read_trunk
    ),
    "labels": Key("for an arm text", "its name for readers; not registered", partial(values.read_labels, "labels")),
    "labels_zh": Key("for an arm text", "the same in Chinese", partial(values.read_labels, "labels_zh")),
    "elsewhere": Key(
        f"for an arm one of {', '.join(values.DIRECTIONS)}; more words after a colon",
        "what others found of it at BERT's own size; not registered",
        values.read_elsewhere,
    ),
}


def example(key: str) -> str:
    """Return an example value of a key, as written in a file."""
    return EXAMPLES.get(key, "")
