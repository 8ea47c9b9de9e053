"""The registration of a study: its question, claim and plan before any run.

Enters: the configuration composed with study=<id>, as plain values. Leaves: a frozen, checked `Study`, and its hash: a
changed file is another registration.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bertlab.config.building import section
from bertlab.config.cache import digest
from bertlab.config.errors import InputError, whole_number
from bertlab.identity.key import semantic
from bertlab.study.design import Margin, Study
from bertlab.study.factors import trend_of_sweep
from bertlab.study.schema import KEYS, example

FOR_READERS = ("labels", "labels_zh", "elsewhere")  # what only readers need is not part of the registration


def registration_hash(config: Mapping[str, Any]) -> str:
    """Hash the registration: the regime of all arms and the whole file except names for readers."""
    study = {key: value for key, value in config["study"].items() if key not in FOR_READERS}
    return digest({**semantic(config), "seed": None}, study)


def read_study(config: Mapping[str, Any]) -> Study:
    """Return the study of a configuration. Raises InputError for missing or wrong values."""
    node = section(config, "study")
    _check_keys(node)
    known: dict[str, Any] = {}
    for name, key in KEYS.items():
        if name in node and (key.needed or node[name] not in (None, {}, [])):
            known[name] = key.read(node[name], known)
    return _at_rung(Study(**known))


def _check_keys(node: Mapping[str, Any]) -> None:
    for name in node:
        if name not in KEYS:
            raise InputError(f"study.{name} is not a key of a study; the keys are {', '.join(KEYS)}")
    for name, key in KEYS.items():
        if key.needed and node.get(name) is None:
            words = f", for example {name}: {example(name)}" if example(name) else " in words"
            raise InputError(f"study.{name} must be given, got nothing; write it{words}")


def _at_rung(study: Study) -> Study:
    """Return the study with the seeds of the chosen rung, and only the looks up to that number."""
    if not study.rung:
        return study
    seeds = study.ladder[study.rung]
    if study.bank is not None:
        whole_number("study.bank", study.bank, seeds)
    return replace(study, seeds=seeds, looks=(*(look for look in study.looks if look < seeds), seeds))


def read_exploration(node: Mapping[str, Any]) -> Study:
    """Return a sweep as a study without a claim, from the output of `bertlab.study.exploration`."""
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
