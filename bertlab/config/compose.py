"""Composing a run: where the configs are, and the parts that a config names. Imports nothing heavy by itself."""

import copy
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, get_args

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from bertlab.config.bounds import check_bounds
from bertlab.config.errors import InputError, at
from bertlab.config.override_policy import check_keys, check_targets, check_words
from bertlab.config.own import own_folder
from bertlab.config.own_files import check_files
from bertlab.config.reading import check_once, check_plain, check_single, overrides_in, parsed, written_out
from bertlab.config.redact import redacted_settings

PACKAGE = Path(__file__).parents[1]


def project_folder(name: str) -> Path:
    """Return `conf` or `sweeps`: beside the package in a checkout, inside it when installed."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def conf_folders() -> tuple[Path, ...]:
    """Return where options are: in `conf` and in that of the person's own folder."""
    return CONF, *_own("conf")


def sweep_folders() -> tuple[Path, ...]:
    """Return where studies are: in `sweeps` and in that of the person's own folder."""
    return project_folder("sweeps"), *_own("sweeps")


def _own(name: str) -> list[Path]:
    own = own_folder()
    return [own / name] if own is not None and (own / name).is_dir() else []


def _search_path() -> list[str]:
    """Return the folders that Hydra reads beside `conf`; a relative one would be another in every working directory."""
    return [f"file://{folder}" for folder in (*sweep_folders(), *_own("conf"))]


CONF = project_folder("conf")
NUMBER = re.compile(r"(?!hydra\b)([a-z]\w*(?:\.\w+)*)=(-?(?:0|[1-9]\d{0,14})(\.\d{1,15})?(e-?\d{1,2})?)")  # key, value
NESTED = re.compile(r"\$\{[^}]*\$\{")  # an interpolation in an interpolation
KEPT = 1000  # configurations that a sweep keeps while its jobs are composed


def _times(factor: float, value: float) -> float:
    """Return the product, whole where it can be; an arm is relative to its rung by `${times:0.5,${budget.tokens}}`."""
    product = factor * value
    return int(product) if product == int(product) else product


OmegaConf.register_new_resolver("search_path", _search_path, replace=True)  # conf/run.yaml
OmegaConf.register_new_resolver("times", _times, replace=True)  # sweeps/study


def check(words: Sequence[str]) -> None:
    """Refuse words that a person typed if they are more than options and values, each once. Raises InputError."""
    check_files(conf_folders(), sweep_folders())
    check_words(words, _groups())
    check_once(words)


def load(overrides: Sequence[str]) -> DictConfig:
    """Compose the configuration of a run, with Hydra's own part, outside of `bertlab.run`.

    Of two values for one key the last one counts, as an arm's does behind those of its study. Raises InputError.
    """
    overrides = written_out(overrides)
    check_files(conf_folders(), sweep_folders())
    check_words(overrides, _groups())
    check_once([word for word in overrides_in(overrides) if _is_group(parsed(word))])
    check_plain(overrides)
    check_single(overrides)
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("run", overrides=list(overrides), return_hydra_config=True)


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as plain values, without Hydra's own part. Raises InputError for a missing value."""
    container = OmegaConf.to_container(
        OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]),
        resolve=True,
        throw_on_missing=True,
    )
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


@dataclass(frozen=True)
class Typed:
    """What was asked for, as records and names of a run show it."""

    options: Mapping[str, str]  # chosen in each config group
    overrides: Sequence[str]  # of the run
    settings: Mapping[str, Any]  # the configuration without `tracking` and without secrets


def typed(config: DictConfig, overrides: Sequence[str]) -> Typed:
    """Return what was asked for of the job that runs, or of a configuration that has Hydra's own part."""
    return Typed(choices(config if "hydra" in config else None), overrides, _settings(config))


def _settings(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as records keep it: text that comes from the environment stays as it was written."""
    settings = resolved(config)
    if any("oc.env" in text for text in _texts(OmegaConf.to_container(config, resolve=False))):
        with _environment_unread():
            settings = _as_written(settings, resolved(config))
    kept: dict[str, Any] = redacted_settings({key: value for key, value in settings.items() if key != "tracking"})
    return kept


@contextmanager
def _environment_unread() -> Iterator[None]:
    """Have interpolations of the environment yield their own text, so that what is made of them shows it."""

    def text(*words: Any) -> str:
        return f"${{oc.env:{','.join(map(str, words))}}}"

    OmegaConf.register_new_resolver("oc.env", text, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _as_written(value: Any, written: Any) -> Any:
    """Return the value with its texts as they were written; a number stays a number."""
    if isinstance(value, dict) and isinstance(written, dict):
        return {key: _as_written(child, written[key]) for key, child in value.items()}
    if isinstance(value, list) and isinstance(written, list) and len(value) == len(written):
        return [_as_written(*pair) for pair in zip(value, written, strict=True)]
    return written if isinstance(value, str | dict | list) else value


def composing(load: Callable[[list[str]], DictConfig]) -> Callable[[list[str]], DictConfig]:
    """Return what composes as `load` does, but reads the files of options once for every choice of them.

    The jobs of a sweep that choose the same options differ in values, and to set a value takes a moment. Whatever else
    a word says is left to `load`, and so are errors.
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
                OmegaConf.update(config, str(override.key_or_group), override.value(), merge=True)  # as Hydra does
        except (HydraException, OmegaConfBaseException):
            return load(words)
        return config

    return composed


Settled = tuple[dict[str, Any], Typed]  # a job's configuration as plain values, and as records show it


def settling(compose: Callable[[list[str]], DictConfig]) -> Callable[[list[str]], Settled]:
    """Return what composes and resolves a job: once for all jobs that differ in nothing but numbers.

    Where another value is made from one of these numbers, every job is composed by itself.
    """

    @lru_cache(KEPT)
    def shared(words: tuple[str, ...]) -> Settled | None:
        """Return what jobs have in common, every number in `words` being 0; None where each is composed by itself."""
        keys = [found[1] for found in map(NUMBER.fullmatch, words) if found]
        set_once = Counter(word.lstrip("+~").partition("=")[0] for word in words)
        if not keys or any("{" in word for word in words) or any(set_once[key] > 1 for key in keys):
            return None
        try:
            composed = compose(list(words))
            common = resolved(composed), typed(composed, words)
        except Exception:  # it is said of the job's own words
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
    """Tell whether the value at a place, through mappings alone, is the number 0."""
    for name in place:
        value = value.get(name) if isinstance(value, Mapping) else None
    return type(value) is int and value == 0


def _with(config: Mapping[str, Any], place: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a configuration with another value at a place; what is elsewhere is shared with the old one."""
    name, *below = place
    return {**config, name: _with(config[name], below, value) if below else value}


def _reads_any(config: DictConfig, keys: Sequence[str]) -> bool:
    """Tell whether any value but Hydra's own is an interpolation that may read one of some keys.

    It may where it names a key or a part of its place, and where one interpolation is made from another.
    """
    own = OmegaConf.to_container(config, resolve=False)
    assert isinstance(own, dict)
    names = {name for key in keys for name in key.split(".")}
    texts = (text for name, value in own.items() if name != "hydra" for text in _texts(value) if "${" in text)
    return any(NESTED.search(text) or any(name in text for name in names) for text in texts)


def _texts(value: Any) -> Iterator[str]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from _texts(child)
    if isinstance(value, str):
        yield value


def _is_option(override: Override) -> bool:
    """Tell whether an override chooses an option of a group."""
    plain = override.type == OverrideType.CHANGE and not override.package
    return plain and _is_group(override) and isinstance(override.value(), str)


def _is_value(override: Override) -> bool:
    """Tell whether an override sets a value of the run's own configuration."""
    plain = override.type == OverrideType.CHANGE and not override.package
    return plain and not _is_group(override) and not override.is_hydra_override()


def _is_group(override: Override) -> bool:
    return any((folder / override.key_or_group).is_dir() for folder in _groups())


def _groups() -> tuple[Path, ...]:
    return *conf_folders(), *sweep_folders()


def choices(config: DictConfig | None = None) -> dict[str, str]:
    """Return the option chosen in each config group, of `config` or of the job that runs."""
    hydra = HydraConfig.get() if config is None else config.hydra
    return {str(key): str(value) for key, value in hydra.runtime.choices.items() if not str(key).startswith("hydra/")}


def said() -> list[str]:
    """Return the overrides of the job that runs as they were typed, interpolations unresolved."""
    words = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    assert isinstance(words, list)
    return [str(word) for word in words]


def given(hydra: Any) -> list[str]:
    """Return the words of a command line as they were typed, those for Hydra first. `hydra`: its own configuration."""
    asked = OmegaConf.to_container(hydra.overrides, resolve=False)
    assert isinstance(asked, dict)
    return [str(word) for word in (*asked["hydra"], *asked["task"])]


@dataclass(frozen=True)
class Parts:
    """Every part that a config chooses, built; those that need sizes or a model are factories."""

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


FULL_KEY = "full_key: "  # what Hydra writes in front of the place of a part that cannot be built
LIGHT = ("data", "mask", "optim.schedule", "tracking")  # parts that need neither torch nor MLflow
LIGHT_ROOMS = tuple(f"bertlab.{name}." for name in (*LIGHT, "tasks"))


def build_parts(config: Mapping[str, Any]) -> Parts:
    """Build all parts; each checks its own values. Raises InputError."""
    return Parts(**_built(config, Parts.__annotations__))


def build_part(config: Mapping[str, Any], name: str) -> Any:
    """Build one part, which checks its own values. Raises InputError."""
    return _built(config, (name,))[name]


def build_light(config: Mapping[str, Any], sections: Iterable[str] | None = None) -> dict[str, Any]:
    """Build the parts that import nothing heavy, and check the values of the others. Raises InputError.

    With `sections`, those of the configuration alone: the others were looked at before.
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
    """Yield the parts of light rooms with their places, wherever they stand; what is below one is built with it."""
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
    """Build parts; what one of them raises is told with its place. Raises InputError."""
    try:
        return dict(instantiate(chosen, _convert_="all"))
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__.at(str(error).rpartition(FULL_KEY)[2].strip()) from error
        raise


def _check_values(node: Any, place: str) -> None:
    """Hold a part and the parts that it is made of to the bounds of their keys. Raises InputError."""
    if not isinstance(node, Mapping):
        return
    for name, child in node.items():
        _check_values(child, f"{place}.{name}")
    with at(place):
        check_bounds(str(node.get("_target_")), node)


def section(config: Mapping[str, Any], key: str, *names: str) -> Mapping[str, Any]:
    """Return a section of the configuration, which must hold `names` and, if there are any, no others.

    Raises InputError.
    """
    value = config.get(key)
    if not isinstance(value, Mapping):
        wanted = f"hold {' and '.join(names)}" if names else "be one of the group's options"
        raise InputError(f"{key} must {wanted}, got {value}; bertlab run --help lists groups and keys")
    if strangers := sorted(set(value) - set(names or value)):
        raise InputError(f"{key}.{strangers[0]} is not a key of the configuration; {key} holds {', '.join(names)}")
    if missing := sorted(set(names) - set(value)):
        raise InputError(f"{key}.{missing[0]} must be given, got nothing; leave it as it is")
    return value


def _check_keywords(part: Any, key: str) -> None:
    """Refuse a key that a factory does not know, or lacks, now rather than when it is called."""
    if not isinstance(part, partial):
        return
    keys = _keys(part)
    for name in [*part.keywords, *keys]:
        if name not in keys:
            raise InputError(f"{key}.{name} is not a key of this part; choose one of {', '.join(sorted(keys))}")
        if name not in part.keywords:
            raise InputError(f"{key}.{name} must be given, got nothing; leave it as its option has it")
        _check_keywords(part.keywords[name], f"{key}.{name}")


def _plain(part: Any) -> Any:
    """Return a factory as a partial of Python's own: Hydra's asks its policy at every call, and losses call parts too.

    What may be called was checked before (bertlab/config/override_policy.py).
    """
    if not isinstance(part, partial):
        return part
    return partial(part.func, *part.args, **{name: _plain(value) for name, value in part.keywords.items()})


def _keys(part: partial[Any]) -> list[str]:
    """Return the keyword-only parameters of a factory, those that it unpacks from a TypedDict included.

    One that takes any keywords, as a person's own may, takes those that it is given.
    """
    found = []
    for parameter in inspect.signature(part.func).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            found.append(parameter.name)
        if parameter.kind is parameter.VAR_KEYWORD:
            stated = get_args(parameter.annotation)
            found += stated[0].__annotations__ if stated else part.keywords
    return found
