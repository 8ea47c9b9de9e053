"""Composes a run: finds the config folders and applies a command line. Imports nothing heavy itself."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from bertlab.config.override_policy import check_items, check_words
from bertlab.config.own import own_folder
from bertlab.config.own_files import check_files
from bertlab.config.reading import check_once, check_plain, check_single, overrides_in, parsed, written_out
from bertlab.config.redact import redacted_settings

PACKAGE = Path(__file__).parents[1]


def project_folder(name: str) -> Path:
    """Return the path of `conf` or `sweeps`: next to the package in a checkout, inside it when installed."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def conf_folders() -> tuple[Path, ...]:
    """Return the folders with options: `conf` and the user's own."""
    return CONF, *_own("conf")


def sweep_folders() -> tuple[Path, ...]:
    """Return the folders with studies: `sweeps` and the user's own."""
    return project_folder("sweeps"), *_own("sweeps")


def _own(name: str) -> list[Path]:
    own = own_folder()
    return [own / name] if own is not None and (own / name).is_dir() else []


def _search_path() -> list[str]:
    """Return the folders that Hydra reads besides `conf`, as absolute paths: jobs change the working directory."""
    return [f"file://{folder}" for folder in (*sweep_folders(), *_own("conf"))]


CONF = project_folder("conf")


def _times(factor: float, value: float) -> float:
    """Return the product, an integer if possible. Arms relative to a rung use it: `${times:0.5,${budget.tokens}}`."""
    product = factor * value
    return int(product) if product == int(product) else product


OmegaConf.register_new_resolver("search_path", _search_path, replace=True)  # used in conf/run.yaml
OmegaConf.register_new_resolver("times", _times, replace=True)  # used in sweeps/study


def check(words: Sequence[str]) -> None:
    """Check the words that a user typed: only options and values, each once. Raises InputError."""
    check_files(conf_folders(), sweep_folders())
    check_words(words, groups())
    check_items(words, conf_folders())
    check_once(words)


def load(overrides: Sequence[str]) -> DictConfig:
    """Compose the configuration of a run, including Hydra's own part, outside of `bertlab.run`.

    If a key has two values, the last one counts; an arm's words follow those of its study. Raises InputError.
    """
    overrides = written_out(overrides)
    check_files(conf_folders(), sweep_folders())
    check_words(overrides, groups())
    check_items(overrides, conf_folders())
    check_once([word for word in overrides_in(overrides) if is_group(parsed(word))])
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
    """What the user asked for, as shown in records and names of a run."""

    options: Mapping[str, str]  # the chosen option of each config group
    overrides: Sequence[str]  # of this run
    settings: Mapping[str, Any]  # the configuration without `tracking` and without secrets


def typed(config: DictConfig, overrides: Sequence[str]) -> Typed:
    """Return what was asked for, of the running job or of a configuration with Hydra's own part."""
    return Typed(choices(config if "hydra" in config else None), overrides, _settings(config))


def _settings(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as records keep it: references to environment variables stay unresolved."""
    settings = resolved(config)
    if any("oc.env" in text for text in texts(OmegaConf.to_container(config, resolve=False))):
        with _environment_unread():
            settings = _as_written(settings, resolved(config))
    kept: dict[str, Any] = redacted_settings({key: value for key, value in settings.items() if key != "tracking"})
    return kept


@contextmanager
def _environment_unread() -> Iterator[None]:
    """Let references to environment variables return their own text, so that values made from them show it."""

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


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, at any depth."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from texts(child)
    if isinstance(value, str):
        yield value


def is_group(override: Override) -> bool:
    """Return whether an override chooses an option of a group, not a value."""
    return any((folder / override.key_or_group).is_dir() for folder in groups())


def groups() -> tuple[Path, ...]:
    """Return the folders whose subfolders are groups."""
    return *conf_folders(), *sweep_folders()


def choices(config: DictConfig | None = None) -> dict[str, str]:
    """Return the chosen option of each config group, of `config` or of the running job."""
    hydra = HydraConfig.get() if config is None else config.hydra
    return {str(key): str(value) for key, value in hydra.runtime.choices.items() if not str(key).startswith("hydra/")}


def said() -> list[str]:
    """Return the overrides of the running job as they were typed, interpolations unresolved."""
    words = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    assert isinstance(words, list)
    return [str(word) for word in words]


def given(hydra: Any) -> list[str]:
    """Return the words of a command line as they were typed, Hydra's first. `hydra`: Hydra's own configuration."""
    asked = OmegaConf.to_container(hydra.overrides, resolve=False)
    assert isinstance(asked, dict)
    return [str(word) for word in (*asked["hydra"], *asked["task"])]
