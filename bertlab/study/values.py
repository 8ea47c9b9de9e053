"""The keys of a study's file, one reader each: `(value in the file, keys read before)` -> the value of a `Study`.

Every reader raises InputError with one line: the key, its bounds, the value and the next step.
`bertlab.study.schema` lists them in reading order.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any

from bertlab.config.errors import InputError, closed_interval, open_interval, whole_number
from bertlab.stats.claim import Expectation
from bertlab.stats.moderated import FEWEST_CONTRASTS, Prior
from bertlab.study.design import Margin, Search, Source, Trend, Trunk
from bertlab.study.factors import ALIKE, check_factors, is_within, place, read_trend
from bertlab.study.outcome import MARGINS, margin_units, outcome_of
from bertlab.study.reading import EXAMPLES, read_overrides, read_text, read_texts, read_word
from bertlab.study.search import tuned

Known = Mapping[str, Any]  # keys that were read before
AXES = ("tokens", "predicted_tokens", "steps", "flops", "seconds")
CONTROLS = ("same", "harmful")
FEWEST = 3  # fewest seeds for a verdict
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # names of studies and arms: reports and figures use them
DIRECTIONS = ("worse", "better", "same")  # of a published result
STATUSES = ("read", "abstract", "notes", "unverified")  # how we know a published number
TRUNK_DECIDES = ("start.from", "seed", "budget.tokens")  # keys that overrides of a trunk may not set


def read_id(value: object, known: Known) -> str:
    """Return the name of the study."""
    return _name("id", value)


def _name(key: str, name: object) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(f"study.{key} must be named in at most 64 small letters, digits and _, got {name}; rename it")
    return name


def read_words(key: str, value: object, known: Known) -> str:
    """Return a text for readers."""
    return read_text(key, value)


def read_arms(value: object, known: Known) -> dict[str, tuple[str, ...]]:
    """Return the overrides of each arm."""
    if not isinstance(value, Mapping) or len(value) < 2:
        raise InputError(f"study.arms must name at least two arms, got {value}; write {EXAMPLES['arms']}")
    for name in value:
        _name("arms", name)
    return {name: read_overrides(f"arms.{name}", overrides) for name, overrides in value.items()}


def read_baseline(value: object, known: Known) -> str:
    """Return the comparison arm."""
    return read_word("baseline", value, known["arms"])


def read_factors(value: object, known: Known) -> tuple[str, ...]:
    """Return the factors: what arms may change."""
    factors = read_texts("factors", value)
    check_factors(factors, known["arms"])
    return factors


def read_expects(value: object, known: Known) -> dict[str, Expectation]:
    """Return what the claim expects of each primary arm."""
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"study.expects must name at least one arm, got {value}; write {EXAMPLES['expects']}")
    others = [name for name in known["arms"] if name != known["baseline"]]
    for name, word in value.items():
        read_word("expects", name, others)
        read_word(f"expects.{name}", word, [expectation.value for expectation in Expectation])
    return {name: Expectation(word) for name, word in value.items()}


def read_against(value: object, known: Known) -> dict[str, str]:
    """Return the arms with a comparison arm other than the baseline."""
    if not isinstance(value, Mapping):
        raise InputError(f"study.against must name an arm for an arm, got {value}; write {EXAMPLES['against']}")
    for name, other in value.items():
        read_word("against", name, [arm for arm in known["arms"] if arm != known["baseline"]])
        read_word(f"against.{name}", other, [arm for arm in known["arms"] if arm != name])
    return dict(value)


def read_outcome(value: object, known: Known) -> str:
    """Return the metric of the claim."""
    return _metric("outcome", read_text("outcome", value))


def read_secondary(value: object, known: Known) -> tuple[str, ...]:
    """Return the additional metrics."""
    return tuple(_metric("secondary", metric) for metric in read_texts("secondary", value))


def _metric(key: str, metric: str) -> str:
    outcome_of(metric, key)
    return metric


def read_margin(value: object, known: Known) -> Margin:
    """Return the smallest effect that matters, in a unit of the outcome."""
    if not isinstance(value, Mapping) or len(value) != 1 or not value.keys() <= set(MARGINS):
        raise InputError(
            f"study.margin must have one unit of {', '.join(MARGINS)}, got {value}; write {EXAMPLES['margin']}"
        )
    ((unit, size),) = value.items()
    fitting = margin_units(outcome_of(known["outcome"]))
    if unit not in fitting:
        raise InputError(
            f"study.margin must be in {' or '.join(fitting)} for {known['outcome']}, got {unit}; state it so"
        )
    return Margin(unit, open_interval(f"study.margin.{unit}", size, 0, 1 if unit == "share" else 10))


def read_ladder(value: object, known: Known) -> dict[str, int]:
    """Return the regimes of the ladder, with the maximum number of seeds of each."""
    if not isinstance(value, Mapping) or len(value) == 1:
        raise InputError(f"study.ladder must hold two rungs at least, got {value}; write {EXAMPLES['ladder']}")
    for name in value:
        _name("ladder", name)
    outcome = outcome_of(known["outcome"])
    if not (outcome.curve and outcome.lower_is_better):
        raise InputError(
            f"study.outcome must be a loss for a ladder, whose effects are counted in training tokens, got "
            f"{known['outcome']}; choose eval/final_loss"
        )
    return {name: whole_number(f"study.ladder.{name}", seeds, FEWEST) for name, seeds in value.items()}


def read_rung(value: object, known: Known) -> str:
    """Return the chosen regime of the ladder; nothing if there is none."""
    ladder = known.get("ladder", {})
    if value and value not in ladder:
        rungs = f"one of {', '.join(ladder)}" if ladder else "left out, as this study has no ladder"
        raise InputError(f"rung must be {rungs}, got {value}; correct it")
    return str(value)


def read_seeds(value: object, known: Known) -> int:
    """Return the maximum number of seeds of an arm."""
    return whole_number("study.seeds", value, FEWEST)


def read_looks(value: object, known: Known) -> tuple[int, ...]:
    """Return the numbers of seeds after which results are judged."""
    if not isinstance(value, list) or not value:
        raise InputError(f"study.looks must list numbers of seeds, got {value}; write {EXAMPLES['looks']}")
    looks, seeds = tuple(whole_number("study.looks", look, FEWEST) for look in value), known["seeds"]
    if any(later <= earlier for earlier, later in pairwise(looks)) or looks[-1] != seeds:
        raise InputError(f"study.looks must ascend and end with study.seeds {seeds}, got {value}; correct one of them")
    return looks


def read_axis(value: object, known: Known) -> str:
    """Return the budget in which arms are equal."""
    return read_word("axis", value, AXES)


def read_floor(value: object, known: Known) -> float:
    """Return the least context gain of the baseline in nats."""
    return closed_interval("study.floor", value, 0, 100)


def read_controls(value: object, known: Known) -> dict[str, tuple[str, ...]]:
    """Return the overrides of both controls."""
    if not isinstance(value, Mapping) or set(value) != set(CONTROLS) or not all(value.values()):
        raise InputError(f"study.controls must hold same and harmful, got {value}; write {EXAMPLES['controls']}")
    read = {name: read_overrides(f"controls.{name}", value[name]) for name in CONTROLS}
    for name, overrides in read.items():
        for override in overrides:
            if is_within(place(override), ALIKE):
                raise InputError(
                    f"study.controls.{name} must not change what all runs share, got {override}; remove it"
                )
    return read


def read_factor_trend(value: object, known: Known) -> Trend:
    """Return the ordered factor along which the outcome is shown."""
    return read_trend(value, known["factors"], known["arms"])


def read_search(value: object, known: Known) -> Search:
    """Return the setting of which each arm gets the best value."""
    if not isinstance(value, Mapping) or set(value) != {"setting", "values", "seeds"}:
        raise InputError(f"study.search must hold setting, values and seeds, got {value}; write {EXAMPLES['search']}")
    setting, values, factors = str(value["setting"]), value["values"], known["factors"]
    if is_within(place(setting), ALIKE) or any(is_within(place(setting), [place(factor)]) for factor in factors):
        raise InputError(
            f"study.search.setting must be one that no arm sets and runs may differ in, got {setting}; choose for "
            "example optimizer.lr"
        )
    numbers = [each for each in values if isinstance(each, int | float)] if isinstance(values, list) else []
    if len(numbers) < FEWEST or numbers != values or any(one >= other for one, other in pairwise(numbers)):
        raise InputError(f"study.search.values must be {FEWEST} ascending numbers at least, got {values}; correct them")
    if taken := sorted(tuned(arm) for arm in known["arms"] if tuned(arm) in known["arms"]):
        raise InputError(f"study.arms must not use the name {taken[0]}, which the search uses; rename that arm")
    return Search(setting, tuple(map(float, numbers)), whole_number("study.search.seeds", value["seeds"], 1))


def read_published(value: object, known: Known) -> tuple[Source, ...]:
    """Return published results."""
    return sources(value)


def sources(entries: object) -> tuple[Source, ...]:
    """Return published results as a study file lists them."""
    if not isinstance(entries, list):
        raise InputError(f"study.published must list sources, got {entries}; write each as an entry of its own")
    return tuple(map(_source, entries))


def _source(entry: object) -> Source:
    needed = [each.name for each in fields(Source) if each.default is MISSING]
    more = [each.name for each in fields(Source) if each.name not in needed]
    if not isinstance(entry, Mapping) or not set(needed) <= set(entry) <= {*needed, *more}:
        raise InputError(
            f"study.published must hold {', '.join(needed)} in each entry and may hold {', '.join(more)}, got {entry}; "
            "correct it"
        )
    read_word("published.status", entry["status"], STATUSES)
    return Source(**{key: read_text(f"published.{key}", value) for key, value in entry.items()})


def read_prior(value: object, known: Known) -> Prior:
    """Return the prior of the regime."""
    return prior_of(value)


def prior_of(prior: object) -> Prior:
    """Return the prior of a regime as in a study file."""
    keys = [each.name for each in fields(Prior)]
    if not isinstance(prior, Mapping) or set(prior) != set(keys):
        raise InputError(
            f"study.prior must hold {', '.join(keys)}, got {prior}; `bertlab plan` tells those of the regime; "
            "copy them, or leave it out"
        )
    return Prior(
        variance=open_interval("study.prior.variance", prior["variance"], 0, 1e6),
        df=open_interval("study.prior.df", prior["df"], 0, 1e6),
        contrasts=whole_number("study.prior.contrasts", prior["contrasts"], FEWEST_CONTRASTS),
    )


def read_bank(value: object, known: Known) -> int:
    """Return the number of baseline runs in the bank."""
    if known.get("against") or known.get("search"):
        raise InputError("study.bank is for arms that are compared with one baseline, got against or search; drop one")
    return whole_number("study.bank", value, known["seeds"])


def read_trunk(value: object, known: Known) -> Trunk:
    """Return the training that all arms of a seed share."""
    if not isinstance(value, Mapping) or set(value) != {"overrides", "tokens"}:
        raise InputError(f"study.trunk must hold overrides and tokens, got {value}; write {EXAMPLES['trunk']}")
    overrides = read_overrides("trunk.overrides", value["overrides"])
    for override in (*overrides, *known["factors"]):
        if is_within(place(override), TRUNK_DECIDES):
            raise InputError(f"study.trunk sets budget and start itself, got {override}; use study.trunk.tokens")
    if known.get("ladder") or known["margin"].unit == "tokens":
        raise InputError(
            "study.trunk is for a margin in nats or share and no ladder, whose tokens are those from scratch; write "
            "{nats: 0.05}"
        )
    return Trunk(overrides, whole_number("study.trunk.tokens", value["tokens"], 1))


def read_labels(key: str, value: object, known: Known) -> dict[str, str]:
    """Return the arms' names for readers."""
    if not isinstance(value, Mapping):
        raise InputError(f"study.{key} must name arms in words, got {value}; write {EXAMPLES['labels']}")
    for arm in value:
        read_word(key, arm, known["arms"])
    return {arm: read_text(f"{key}.{arm}", label) for arm, label in value.items()}


def read_elsewhere(value: object, known: Known) -> dict[str, str]:
    """Return what others found of the arms: worse, better or same, and after a colon more words, if any."""
    if not isinstance(value, Mapping):
        raise InputError(f"study.elsewhere must hold arms, got {value}; write {EXAMPLES['elsewhere']}")
    for arm, found in value.items():
        read_word("elsewhere", arm, known["arms"])
        read_word(f"elsewhere.{arm}", str(found).partition(":")[0], DIRECTIONS)
    return dict(value)
