"""Composes the jobs of a sweep: reads files once per choice of options, and sets numbers without Hydra."""

import copy
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bertlab.config.compose import Typed, is_group, resolved, texts, typed

NUMBER = re.compile(r"(?!hydra\b)([a-z]\w*(?:\.\w+)*)=(-?(?:0|[1-9]\d{0,14})(\.\d{1,15})?(e-?\d{1,2})?)")  # key, value


NESTED = re.compile(r"\$\{[^}]*\$\{")  # an interpolation in an interpolation


KEPT = 1000  # most configurations that a sweep keeps while its jobs are composed


def composing(load: Callable[[list[str]], DictConfig]) -> Callable[[list[str]], DictConfig]:
    """Return a function that composes like `load` but reads the option files only once per choice of options.

    Jobs with the same options differ only in values, which are quick to set. `load` handles all other words and all
    errors.
    """
    parser, read = OverridesParser.create(), dict[tuple[str, ...], DictConfig]()

    def composed(words: list[str]) -> DictConfig:
        try:
            overrides = parser.parse_overrides(words)
            values = [override for override in overrides if _is_value(override)]
            options = [str(override.input_line) for override in overrides if _is_option(override)]
            if len(values) + len(options) < len(words):
                return load(words)
            config = read.get(tuple(options)) or read.setdefault(tuple(options), load(options))
            config = copy.deepcopy(config)
            for override in values:
                OmegaConf.update(config, str(override.key_or_group), override.value(), merge=True)  # like Hydra
        except (HydraException, OmegaConfBaseException):
            return load(words)
        return config

    return composed


Settled = tuple[dict[str, Any], Typed]  # a job's configuration as plain values, and as shown in records


def settling(compose: Callable[[list[str]], DictConfig]) -> Callable[[list[str]], Settled]:
    """Return a function that composes and resolves a job, once for all jobs that differ only in numbers.

    If another value depends on one of these numbers, every job is composed by itself.
    """

    @lru_cache(KEPT)
    def shared(words: tuple[str, ...]) -> Settled | None:
        """Return the common configuration with the numbers of `words` set to 0; None if each job is composed alone."""
        keys = [found[1] for found in map(NUMBER.fullmatch, words) if found]
        set_once = Counter(word.lstrip("+~").partition("=")[0] for word in words)
        if not keys or any("{" in word for word in words) or any(set_once[key] > 1 for key in keys):
            return None
        try:
            composed = compose(list(words))
            common = resolved(composed), typed(composed, words)
        except Exception:  # the job's own composition will raise the error
            return None
        alone = not _reads_any(composed, keys) and all(_is_zero(common[0], key.split(".")) for key in keys)
        return common if alone else None

    def settled(words: list[str]) -> Settled:
        numbers = {word: found for word in words if (found := NUMBER.fullmatch(word))}
        common = shared(tuple(f"{numbers[word][1]}=0" if word in numbers else word for word in words))
        if common is None:
            composed = compose(words)
            return resolved(composed), typed(composed, words)
        (config, asked), settings = common, common[1].settings
        for key, text, *fraction in (found.groups() for found in numbers.values()):
            place, value = key.split("."), float(text) if any(fraction) else int(text)
            config = _with(config, place, value)
            settings = _with(settings, place, value) if place[0] in settings else settings
        return config, replace(asked, overrides=words, settings=settings)

    return settled


def _is_zero(value: Any, place: Sequence[str]) -> bool:
    """Return whether the value at a place, reached only through mappings, is the number 0."""
    for name in place:
        value = value.get(name) if isinstance(value, Mapping) else None
    return type(value) is int and value == 0


def _with(config: Mapping[str, Any], place: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a configuration with one value replaced; the rest is shared with the old one."""
    name, *below = place
    return {**config, name: _with(config[name], below, value) if below else value}


def _reads_any(config: DictConfig, keys: Sequence[str]) -> bool:
    """Return whether any value outside Hydra's part is an interpolation that may read one of the keys.

    It may if it names a key or part of its path, or if one interpolation is inside another.
    """
    own = OmegaConf.to_container(config, resolve=False)
    assert isinstance(own, dict)
    names = {name for key in keys for name in key.split(".")}
    read = (text for name, value in own.items() if name != "hydra" for text in texts(value) if "${" in text)
    return any(NESTED.search(text) or any(name in text for name in names) for text in read)


def _is_option(override: Override) -> bool:
    """Return whether an override chooses an option of a group."""
    plain = override.type == OverrideType.CHANGE and not override.package
    return plain and is_group(override) and isinstance(override.value(), str)


def _is_value(override: Override) -> bool:
    """Return whether an override sets a value of the run's own configuration."""
    plain = override.type == OverrideType.CHANGE and not override.package
    return plain and not is_group(override) and not override.is_hydra_override()
