"""The registration of a study: what was asked, claimed and planned before any of its runs.

Enters: the configuration composed with study=<id>, as plain values. Leaves: a frozen `Study`, every word of it checked,
and the hash under which it is registered: a file that has changed is another registration.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any

from bertlab.config.building import section
from bertlab.config.cache import digest
from bertlab.config.errors import InputError, closed_interval, open_interval, whole_number
from bertlab.stats.claim import Expectation
from bertlab.stats.moderated import FEWEST_CONTRASTS, NO_PRIOR, Prior
from bertlab.study.design import Margin, Search, Source, Study, Trunk
from bertlab.study.factors import ALIKE, check_factors, is_within, place, read_trend, trend_of_sweep
from bertlab.study.outcome import MARGINS, margin_units, outcome_of
from bertlab.study.reading import EXAMPLES, read_overrides, read_text, read_texts, read_word
from bertlab.study.search import tuned
from bertlab.tracking.identity import semantic

AXES = ("tokens", "predicted_tokens", "steps", "flops", "seconds")
TRUNK_DECIDES = ("start.from", "seed", "budget.tokens")  # what no override of a trunk may set
CONTROLS = ("same", "harmful")
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # of a study and of an arm: reports and figures are called by them
STATUSES = ("read", "abstract", "notes", "unverified")  # how a published number is known
FEWEST = 3  # seeds for any verdict
FOR_READERS = ("labels", "labels_zh")  # names for the arms: no part of what is registered


def registration_hash(config: Mapping[str, Any]) -> str:
    """Hash a study as it is registered: the regime of all arms and every word of its file but the names for readers."""
    study = {key: value for key, value in config["study"].items() if key not in FOR_READERS}
    return digest({**semantic(config), "seed": None}, study)


def read_study(config: Mapping[str, Any]) -> Study:
    """Return the study of a configuration. Raises InputError for whatever it does not say, or says wrongly."""
    node = section(config, "study")
    _check_keys(node)
    arms = _arms(node)
    factors = read_texts("factors", node["factors"])
    check_factors(factors, arms)
    outcome, ladder = read_text("outcome", node["outcome"]), _ladder(node)
    seeds, looks = _seeds(node, ladder)
    secondary = read_texts("secondary", node.get("secondary", []))
    for metric in (outcome, *secondary):
        outcome_of(metric)
    _check_name("id", node["id"])
    return Study(
        id=node["id"],
        **{key: read_text(key, node[key]) for key in ("question", "claim", "family")},
        baseline=read_word("baseline", node["baseline"], arms),
        factors=factors,
        arms=arms,
        expects=_expects(node, arms),
        outcome=outcome,
        margin=_margin(node["margin"], outcome),
        seeds=seeds,
        looks=looks,
        axis=read_word("axis", node["axis"], AXES),
        floor=closed_interval("study.floor", node["floor"], 0, 100),
        controls=_controls(node["controls"]),
        against=_against(node, arms),
        secondary=secondary,
        trend=read_trend(node["trend"], factors, arms) if node.get("trend") else None,
        search=_search(node["search"], factors, arms) if node.get("search") else None,
        published=read_published(node.get("published") or []),
        prior=read_prior(node["prior"]) if node.get("prior") else NO_PRIOR,
        bank=_bank(node, seeds) if node.get("bank") is not None else None,
        labels=_labels("labels", node, arms),
        labels_zh=_labels("labels_zh", node, arms),
        ladder=ladder,
        rung=str(node.get("rung") or ""),
        trunk=_trunk(node, factors) if node.get("trunk") else None,
    )


def read_exploration(node: Mapping[str, Any]) -> Study:
    """Return a sweep as a study that claims nothing, from what `bertlab.study.exploration` wrote."""
    return Study(
        **{key: node[key] for key in ("id", "question", "baseline", "outcome", "floor")},
        factors=tuple(node["factors"]),
        secondary=tuple(node["secondary"]),
        arms={arm: tuple(overrides) for arm, overrides in node["arms"].items()},
        claim="",
        expects={},
        margin=Margin("nats", 0.0),
        family="",
        seeds=0,
        looks=(),
        axis="tokens",
        controls={},
        trend=trend_of_sweep(node["factors"], node["arms"]),
    )


def read_prior(prior: object) -> Prior:
    """Return the prior of a regime as a study file states it. Raises InputError."""
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


def _check_keys(node: Mapping[str, Any]) -> None:
    known = {each.name: each.default is MISSING and each.default_factory is MISSING for each in fields(Study)}
    for key in node:
        if key not in known:
            raise InputError(f"study.{key} is not a key of a study; the keys are {', '.join(known)}")
    for key, needed in known.items():
        if needed and node.get(key) is None:
            example = f", for example {key}: {EXAMPLES[key]}" if key in EXAMPLES else " in words"
            raise InputError(f"study.{key} must be given, got nothing; write it{example}")


def _arms(node: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    if not isinstance(node["arms"], Mapping) or len(node["arms"]) < 2:
        raise InputError(f"study.arms must name at least two arms, got {node['arms']}; write {EXAMPLES['arms']}")
    for name in node["arms"]:
        _check_name("arms", name)
    return {name: read_overrides(f"arms.{name}", overrides) for name, overrides in node["arms"].items()}


def _check_name(key: str, name: object) -> None:
    if not NAME.fullmatch(str(name)):
        raise InputError(f"study.{key} must be named in at most 64 small letters, digits and _, got {name}; rename it")


def _expects(node: Mapping[str, Any], arms: Mapping[str, object]) -> dict[str, Expectation]:
    words = [expectation.value for expectation in Expectation]
    if not isinstance(node["expects"], Mapping) or not node["expects"]:
        raise InputError(
            f"study.expects must name at least one arm, got {node['expects']}; write {EXAMPLES['expects']}"
        )
    others = [name for name in arms if name != node["baseline"]]
    for name, word in node["expects"].items():
        read_word("expects", name, others)
        read_word(f"expects.{name}", word, words)
    return {name: Expectation(word) for name, word in node["expects"].items()}


def _against(node: Mapping[str, Any], arms: Mapping[str, object]) -> dict[str, str]:
    against = node.get("against") or {}
    if not isinstance(against, Mapping):
        raise InputError(f"study.against must name an arm for an arm, got {against}; write {{pre_0: pre_10}}")
    for name, other in against.items():
        read_word("against", name, [arm for arm in arms if arm != node["baseline"]])
        read_word(f"against.{name}", other, [arm for arm in arms if arm != name])
    return dict(against)


def _ladder(node: Mapping[str, Any]) -> dict[str, int]:
    """Return the regimes of a ladder with the seeds of each, and hold the rung that is run to them."""
    ladder, rung = node.get("ladder") or {}, node.get("rung")
    if not isinstance(ladder, Mapping) or len(ladder) == 1:
        raise InputError(f"study.ladder must hold two rungs at least, got {ladder}; write {{nano: 5, study: 3}}")
    for name in ladder:
        _check_name("ladder", name)
    if rung and rung not in ladder:
        rungs = f"one of {', '.join(ladder)}" if ladder else "left out, as this study has no ladder"
        raise InputError(f"rung must be {rungs}, got {rung}; correct it")
    outcome = outcome_of(read_text("outcome", node["outcome"]))
    if ladder and not (outcome.curve and outcome.lower_is_better):
        raise InputError(
            f"study.outcome must be a loss for a ladder, whose effects are counted in training tokens, got "
            f"{node['outcome']}; choose eval/final_loss"
        )
    return {name: whole_number(f"study.ladder.{name}", seeds, FEWEST) for name, seeds in ladder.items()}


def _seeds(node: Mapping[str, Any], ladder: Mapping[str, int]) -> tuple[int, tuple[int, ...]]:
    """Return how many seeds are run at most and the looks: at a rung its own seeds, and the looks that come before."""
    seeds = whole_number("study.seeds", node["seeds"], FEWEST)
    looks = _looks(node["looks"], seeds)
    if not node.get("rung"):
        return seeds, looks
    own = ladder[node["rung"]]
    return own, (*(look for look in looks if look < own), own)


def _trunk(node: Mapping[str, Any], factors: Sequence[str]) -> Trunk:
    trunk = node["trunk"]
    if not isinstance(trunk, Mapping) or set(trunk) != {"overrides", "tokens"}:
        raise InputError(
            f"study.trunk must hold overrides and tokens, got {trunk}; write {{overrides: [schedule=constant], tokens: "
            "2_300_000}"
        )
    overrides = read_overrides("trunk.overrides", trunk["overrides"])
    for override in (*overrides, *factors):
        if is_within(place(override), TRUNK_DECIDES):
            raise InputError(f"study.trunk sets budget and start itself, got {override}; use study.trunk.tokens")
    if node.get("ladder") or (isinstance(node["margin"], Mapping) and "tokens" in node["margin"]):
        raise InputError(
            "study.trunk is for a margin in nats or share and no ladder, whose tokens are those from scratch; write "
            "{nats: 0.05}"
        )
    return Trunk(overrides, whole_number("study.trunk.tokens", trunk["tokens"], 1))


def _labels(key: str, node: Mapping[str, Any], arms: Mapping[str, object]) -> dict[str, str]:
    labels = node.get(key) or {}
    if not isinstance(labels, Mapping):
        raise InputError(f"study.{key} must name arms in words, got {labels}; write {{rate_30: a mask rate of 30 %}}")
    for arm in labels:
        read_word(key, arm, arms)
    return {arm: read_text(f"{key}.{arm}", label) for arm, label in labels.items()}


def _bank(node: Mapping[str, Any], seeds: int) -> int:
    if node.get("against") or node.get("search"):
        raise InputError("study.bank is for arms that are compared with one baseline, got against or search; drop one")
    return whole_number("study.bank", node["bank"], seeds)


def _margin(margin: object, outcome: str) -> Margin:
    if not isinstance(margin, Mapping) or len(margin) != 1 or not margin.keys() <= set(MARGINS):
        raise InputError(
            f"study.margin must have one unit of {', '.join(MARGINS)}, got {margin}; write {{tokens: 0.25}}"
        )
    ((unit, value),) = margin.items()
    fitting = margin_units(outcome_of(outcome))
    if unit not in fitting:
        raise InputError(f"study.margin must be in {' or '.join(fitting)} for {outcome}, got {unit}; state it so")
    return Margin(unit, open_interval(f"study.margin.{unit}", value, 0, 1 if unit == "share" else 10))


def _looks(looks: object, seeds: int) -> tuple[int, ...]:
    if not isinstance(looks, list) or not looks:
        raise InputError(f"study.looks must list numbers of seeds, got {looks}; write {EXAMPLES['looks']}")
    numbers = tuple(whole_number("study.looks", look, FEWEST) for look in looks)
    if any(later <= earlier for earlier, later in pairwise(numbers)) or numbers[-1] != seeds:
        raise InputError(f"study.looks must ascend and end with study.seeds {seeds}, got {looks}; correct one of them")
    return numbers


def _controls(controls: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(controls, Mapping) or set(controls) != set(CONTROLS) or not all(controls.values()):
        raise InputError(f"study.controls must hold same and harmful, got {controls}; write {EXAMPLES['controls']}")
    read = {name: read_overrides(f"controls.{name}", controls[name]) for name in CONTROLS}
    for name, overrides in read.items():
        for override in overrides:
            if is_within(place(override), ALIKE):
                raise InputError(f"study.controls.{name} must leave what all runs share alike, got {override}; drop it")
    return read


def _search(search: object, factors: Sequence[str], arms: Mapping[str, object]) -> Search:
    if not isinstance(search, Mapping) or set(search) != {"setting", "values", "seeds"}:
        raise InputError(
            f"study.search must hold setting, values and seeds, got {search}; write {{setting: optimizer.lr, "
            "values: [0.001, 0.002, 0.004], seeds: 2}"
        )
    setting, values = str(search["setting"]), search["values"]
    if is_within(place(setting), ALIKE) or any(is_within(place(setting), [place(factor)]) for factor in factors):
        raise InputError(
            f"study.search.setting must be one that no arm sets and runs may differ in, got {setting}; choose for "
            "example optimizer.lr"
        )
    numbers = [value for value in values if isinstance(value, int | float)] if isinstance(values, list) else []
    if len(numbers) < FEWEST or numbers != values or any(one >= other for one, other in pairwise(numbers)):
        raise InputError(f"study.search.values must be {FEWEST} ascending numbers at least, got {values}; correct them")
    if taken := sorted(tuned(arm) for arm in arms if tuned(arm) in arms):
        raise InputError(f"study.arms must leave the name {taken[0]} to the search, got it; rename that arm")
    return Search(setting, tuple(map(float, numbers)), whole_number("study.search.seeds", search["seeds"], 1))


def read_published(entries: object) -> tuple[Source, ...]:
    """Return what others found, as a study file lists it. Raises InputError."""
    if not isinstance(entries, list):
        raise InputError(f"study.published must list sources, got {entries}; write each as an entry of its own")
    return tuple(_source(entry) for entry in entries)


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
