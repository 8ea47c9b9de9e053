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
    "id": Key(NAMED, "names its page and its folder", values.read_id, True),
    "question": Key("text", "what is asked", partial(values.read_words, "question"), True),
    "claim": Key("text", "what the study is to support or to refute", partial(values.read_words, "claim"), True),
    "arms": Key(
        f"names ({NAMED}), each with a list of key=value",
        "what is compared, two arms at least",
        values.read_arms,
        True,
    ),
    "baseline": Key("an arm", "what the others are compared with, seed by seed", values.read_baseline, True),
    "factors": Key(
        "keys or groups", "what arms may change; data, tokenizer and evaluation are alike", values.read_factors, True
    ),
    "expects": Key(
        f"for an arm one of {', '.join(each.value for each in Expectation)}",
        "what the claim says of it; other arms are exploratory",
        values.read_expects,
        True,
    ),
    "against": Key("for an arm another arm", "compares it with that one, not the baseline", values.read_against),
    "outcome": Key("a measure: docs/measures.md", "what the claim is judged by", values.read_outcome, True),
    "secondary": Key("measures", "shown beside, without a verdict", values.read_secondary),
    "margin": Key(
        f"one of {', '.join(MARGINS)}: a number",
        "the smallest difference that matters; tokens: worth this share more training",
        values.read_margin,
        True,
    ),
    "family": Key("a word", "studies that share it are corrected together", partial(values.read_words, "family"), True),
    "ladder": Key(
        "for a regime the most seeds", "regimes of growing compute; `rung=` chooses the one to run", values.read_ladder
    ),
    "rung": Key("a regime of the ladder", "what rung= writes; not for a file", values.read_rung),
    "seeds": Key(f"a whole number from {values.FEWEST} on", "of each arm, at most", values.read_seeds, True),
    "looks": Key(
        "ascending whole numbers, the last is seeds", "after how many seeds it is judged", values.read_looks, True
    ),
    "axis": Key(f"one of {', '.join(values.AXES)}", "the budget that arms are equal in", values.read_axis, True),
    "floor": Key("[0, 100]", "nats of context gain that the baseline must exceed", values.read_floor, True),
    "controls": Key(
        "same and harmful, each with a list of key=value",
        "of the baseline: what must come out equivalent, what must come out worse",
        values.read_controls,
        True,
    ),
    "trend": Key(
        "factor, and scale: linear or log", "an ordered factor that the outcome follows", values.read_factor_trend
    ),
    "search": Key(
        "setting, ascending values, seeds",
        "each arm gets the best of these values, found on seeds that no contrast uses",
        values.read_search,
    ),
    "published": Key(
        f"a list of source, says, status ({', '.join(values.STATUSES)}), and size, agrees where known",
        "what others found",
        values.read_published,
    ),
    "prior": Key(
        "variance, df, contrasts", "usual variance of a difference in the regime: `bertlab plan`", values.read_prior
    ),
    "bank": Key(
        "a whole number from seeds on", "runs of the baseline that arms are compared with unpaired", values.read_bank
    ),
    "trunk": Key(
        "overrides and tokens", "training that all arms of a seed go on from; margin not in tokens", values.read_trunk
    ),
    "labels": Key("for an arm text", "what readers call it; not registered", partial(values.read_labels, "labels")),
    "labels_zh": Key("for an arm text", "the same in Chinese", partial(values.read_labels, "labels_zh")),
}


def example(key: str) -> str:
    """Return an example value of a key, as written in a file."""
    return EXAMPLES.get(key, "")
