"""The arms of a study as configurations that change the declared factors and nothing else.

Enters: a study and a function that composes it. Leaves: the resolved configuration of every arm and control. The
changes of an arm against the baseline are compared key by key with its declaration; other changes are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from omegaconf import DictConfig

from bertlab.config.cache import digest
from bertlab.config.compose import load, resolved
from bertlab.config.error_messages import explain
from bertlab.config.errors import InputError
from bertlab.config.leaves import leaves
from bertlab.data.start_weights import start_folders
from bertlab.identity.key import code_fingerprint, semantic
from bertlab.study.design import Study, Trunk
from bertlab.study.factors import is_within, place
from bertlab.study.registration import read_study, registration_hash

Config = Mapping[str, Any]
Compose = Callable[[Sequence[str]], DictConfig]  # overrides -> the study's configuration with them


@dataclass(frozen=True)
class Registration:
    """A study with the configurations of all its runs, and its hash."""

    study: Study
    node: Mapping[str, Any]  # the study as in its file
    arms: Mapping[str, Config]
    controls: Mapping[str, Config]
    hash: str
    trunk: Config | None = None  # common start of all arms

    @property
    def code(self) -> str:
        """Fingerprint of the code that arms and controls use."""
        trunk = {} if self.trunk is None else {"trunk": self.trunk}
        known = {**self.arms, **self.controls, **trunk}
        return digest({arm: code_fingerprint(config) for arm, config in known.items()})


def from_file(study: str, *overrides: str) -> Compose:
    """Return a function that composes the study of sweeps/study/<study>.yaml with overrides for all arms."""
    return lambda own: load([f"study={study}", *overrides, *own])


def register(compose: Compose) -> Registration:
    """Read and check a study with all its arms. Raises InputError."""
    config = resolved(compose([]))
    study = with_starts(read_study(config), config)
    arms, controls = compose_arms(study, compose), _controls(study, compose)
    for name, control in controls.items():
        if not changes(control, arms[study.baseline]):
            raise InputError(f"study.controls.{name} must change the baseline, got no change; write another one")
    trunk = None if study.trunk is None else _composed("trunk", trunk_overrides(study.trunk), compose)
    return Registration(study, config["study"], arms, controls, registration_hash(config), trunk)


def with_starts(study: Study, config: Config) -> Study:
    """Return a study before composition, with the folders of the runs from which its arms start.

    The start of all arms comes first, from `config`, the study's configuration without arms. Raises InputError.
    """
    output_dir, uri = str(config.get("output_dir")), config.get("tracking", {}).get("uri")
    common = config.get("start", {}).get("from")
    asked = [f"start.from='{common}'"] if isinstance(common, str) else []
    first = [word for word in start_folders(asked, output_dir, uri) if word not in asked]

    def found(words: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*first, *start_folders(words, output_dir, uri))))

    trunk = study.trunk and replace(study.trunk, overrides=found(study.trunk.overrides))
    arms, controls = ({name: found(words) for name, words in each.items()} for each in (study.arms, study.controls))
    return replace(study, arms=arms, controls=controls, trunk=trunk)


def at_stage(registration: Registration, study: Study, compose: Compose) -> Registration:
    """Return the registration with the arms of the study at a stage of the search. Raises InputError."""
    study = with_starts(study, resolved(compose([])))
    return replace(registration, study=study, arms=_arms(study, compose), controls=_controls(study, compose))


def compose_arms(study: Study, compose: Compose) -> dict[str, Config]:
    """Return the configuration of every arm.

    Raises InputError for an arm that cannot be composed, that changes more than it declares, or that equals another.
    """
    arms = _arms(study, compose)
    for name, arm in arms.items():
        declared = [place(override) for override in (*study.arms[name], *study.arms[study.baseline])]
        more = sorted(key for key in changes(arm, arms[study.baseline]) if not is_within(key, declared))
        if more:
            raise InputError(
                f"study.arms.{name} must change only what it declares, got {', '.join(more)} changed too; "
                "set it for all arms beside `study`, or declare it"
            )
    for one, other in combinations(arms, 2):
        if not changes(arms[one], arms[other]):
            raise InputError(f"study.arms must differ, got {one} equal to {other}; change or leave out one of them")
    return arms


def trunk_overrides(trunk: Trunk) -> list[str]:
    """Return the overrides that turn a study's configuration into its trunk's; weights must be kept."""
    return [*trunk.overrides, f"budget.tokens={trunk.tokens}", "tracking.weights=true"]


def changes(one: Config, other: Config) -> set[str]:
    """Return the keys with different values in two configurations, among those that can change a result."""
    first, second = (dict(leaves(semantic(config))) for config in (one, other))
    return {key for key in first.keys() | second.keys() if first.get(key, ...) != second.get(key, ...)}


def _arms(study: Study, compose: Compose) -> dict[str, Config]:
    return {name: _composed(f"arms.{name}", overrides, compose) for name, overrides in study.arms.items()}


def _controls(study: Study, compose: Compose) -> dict[str, Config]:
    baseline = study.arms[study.baseline]
    return {
        name: _composed(f"controls.{name}", [*baseline, *overrides], compose)
        for name, overrides in study.controls.items()
    }


def _composed(key: str, overrides: Sequence[str], compose: Compose) -> Config:
    try:
        return resolved(compose(overrides))
    except Exception as error:
        if (line := explain(error)) is None:
            raise
        raise InputError(f"study.{key} cannot be composed: {line}") from error
