"""Builds the parts that a configuration names; each checks its own values. Imports nothing heavy itself."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from bertlab.config.bounds import check_bounds
from bertlab.config.compose import conf_folders
from bertlab.config.errors import InputError, at
from bertlab.config.override_policy import check_keys, check_targets


@dataclass(frozen=True)
class Parts:
    """All parts that a config chooses, built; parts that need sizes or a model are factories."""

    data: Any
    tokenizer: Any
    pairs: Any
    mask: Any
    model: Any
    objective: Any
    optimizer: Any
    schedule: Any
    evaluation: Any
    trainer: Any
    tracking: Any


FULL_KEY = "full_key: "  # Hydra's prefix of the key of a part that cannot be built
LATER = {"start": ("optimizer",)}  # keys that a section got later; their readers use them by name
LIGHT = ("data", "mask", "optim.schedule", "tracking")  # parts that need neither torch nor MLflow
LIGHT_ROOMS = tuple(f"bertlab.{name}." for name in (*LIGHT, "tasks"))


def build_parts(config: Mapping[str, Any]) -> Parts:
    """Build all parts; each checks its own values. Raises InputError."""
    return Parts(**_built(config, Parts.__annotations__))


def build_part(config: Mapping[str, Any], name: str) -> Any:
    """Build one part; it checks its own values. Raises InputError."""
    return _built(config, (name,))[name]


def build_light(config: Mapping[str, Any], sections: Iterable[str] | None = None) -> dict[str, Any]:
    """Build the parts that import nothing heavy, and check the values of the others. Raises InputError.

    With `sections`, handle only these sections: the others were checked before.
    """
    looked_at = config if sections is None else {name: config[name] for name in sections}
    parts = {name: section(config, name) for name in Parts.__annotations__}
    chosen = {name: node for name, node in parts.items() if name in looked_at}
    check_targets(looked_at, conf_folders())
    check_keys(looked_at, conf_folders())
    for name, node in chosen.items():
        _check_values(node, name)
    light = {place: node for name, node in chosen.items() for place, node in _light(node, name)}
    return _instantiated(light) if light else {}


def _light(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the parts of light rooms with their keys, at any depth; a part builds its own inner parts."""
    if not isinstance(node, Mapping):
        return
    if str(node.get("_target_")).startswith(LIGHT_ROOMS):
        yield place, node
    else:
        for name, child in node.items():
            yield from _light(child, f"{place}.{name}")


def _built(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    chosen = {name: section(config, name) for name in names}
    check_targets(config, conf_folders())
    for name, node in chosen.items():
        _check_values(node, name)
    parts = _instantiated(chosen)
    for name, part in parts.items():
        _check_keywords(part, name)
    return {name: _plain(part) for name, part in parts.items()}


def _instantiated(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Build parts; an error names the key of its part. Raises InputError."""
    try:
        return dict(instantiate(chosen, _convert_="all"))
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__.at(str(error).rpartition(FULL_KEY)[2].strip()) from error
        raise


def _check_values(node: Any, place: str) -> None:
    """Check the bounds of a part and of its inner parts. Raises InputError."""
    if not isinstance(node, Mapping):
        return
    for name, child in node.items():
        _check_values(child, f"{place}.{name}")
    with at(place):
        check_bounds(str(node.get("_target_")), node)


def section(config: Mapping[str, Any], key: str, *names: str) -> Mapping[str, Any]:
    """Return a section of the configuration; it must hold exactly `names`, if any are given.

    Raises InputError.
    """
    value = config.get(key)
    if not isinstance(value, Mapping):
        wanted = f"hold {' and '.join(names)}" if names else "be one of the group's options"
        raise InputError(f"{key} must {wanted}, got {value}; bertlab run --help lists groups and keys")
    if strangers := sorted(set(value) - {*(names or value), *LATER.get(key, ())}):
        raise InputError(f"{key}.{strangers[0]} is not a key of the configuration; {key} holds {', '.join(names)}")
    if missing := sorted(set(names) - set(value)):
        raise InputError(f"{key}.{missing[0]} must be given, got nothing; keep the default")
    return value


def _check_keywords(part: Any, key: str) -> None:
    """Check now, not at the first call, that a factory knows its keywords and has all of them."""
    if not isinstance(part, partial):
        return
    keys = _keys(part)
    for name in [*part.keywords, *keys]:
        if name not in keys:
            raise InputError(f"{key}.{name} is not a key of this part; choose one of {', '.join(sorted(keys))}")
        if name not in part.keywords:
            raise InputError(f"{key}.{name} must be given, got nothing; keep the value of its option")
        _check_keywords(part.keywords[name], f"{key}.{name}")


def _plain(part: Any) -> Any:
    """Return a factory as a plain Python partial: Hydra's checks its policy at every call, and losses call parts often.

    Allowed targets were checked before (bertlab/config/override_policy.py).
    """
    if not isinstance(part, partial):
        return part
    return partial(part.func, *part.args, **{name: _plain(value) for name, value in part.keywords.items()})


def _keys(part: partial[Any]) -> list[str]:
    """Return the keyword-only parameters of a factory, including those unpacked from a TypedDict.

    For a factory with **kwargs, as user code may have, return the given keywords.
    """
    found = []
    for parameter in inspect.signature(part.func).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            found.append(parameter.name)
        if parameter.kind is parameter.VAR_KEYWORD:
            stated = get_args(parameter.annotation)
            found += stated[0].__annotations__ if stated else part.keywords
    return found
