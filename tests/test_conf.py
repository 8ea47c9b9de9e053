"""conf/ and bertlab/ have the same structure: a family's YAML names a part of the family's room, with its keys."""

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from bertlab.config.building import Parts
from bertlab.config.compose import CONF, load

ROOM = {  # where it is not bertlab.<family>
    "optimizer": "bertlab.optim.optimizer",
    "pairs": "bertlab.data.pairs",
    "schedule": "bertlab.optim.schedule",
    "tokenizer": "bertlab.data.tokenizer",
    "trainer": "bertlab.train",
    "evaluation/tasks": "bertlab.tasks",
}
NO_PART = ("regime", "hydra")  # groups that set keys and choose no part
LONGER = {"data/oracle": 20, "model/base": 20}  # lines; every other part has 15 at most
OPTIONS = sorted(
    path.relative_to(CONF).with_suffix("").as_posix()
    for path in CONF.rglob("*.yaml")
    if path.parent != CONF and path.relative_to(CONF).parts[0] not in NO_PART
)


@cache
def composed(option: str) -> Any:
    """Return the part of the configuration that an option of a group fills, its defaults included."""
    own = yaml.safe_load((CONF / f"{option}.yaml").read_text("utf-8"))
    if "defaults" not in own:
        return own  # Hydra takes such a file as it is
    group, _, name = option.rpartition("/")
    return OmegaConf.to_container(OmegaConf.select(load([f"{group}={name}"]), group.replace("/", ".")))


def parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping with a `_target_`, at any depth."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value
        for child in value.values():
            yield from parts(child)


def target(part: Mapping[str, Any]) -> Any:
    module, _, name = part["_target_"].rpartition(".")
    return getattr(import_module(module), name)


def test_the_groups_of_the_map_are_the_folders_of_conf() -> None:
    defaults = yaml.safe_load((CONF / "run.yaml").read_text("utf-8"))["defaults"]
    groups = {key for entry in defaults if isinstance(entry, dict) for key in entry if not key.startswith("override")}
    folders = {folder.name for folder in CONF.iterdir() if folder.is_dir()} - {"hydra"}
    assert groups == folders | {"study"}, "studies stand in sweeps/"
    assert groups - {"regime", "study"} == set(Parts.__annotations__)


def test_a_part_lives_in_the_room_of_its_family() -> None:
    for option in OPTIONS:
        family = next((name for name in ROOM if option.startswith(f"{name}/")), option.partition("/")[0])
        own = yaml.safe_load((CONF / f"{option}.yaml").read_text("utf-8"))
        stated = [part["_target_"] for part in parts(own)]
        room = ROOM.get(family, f"bertlab.{family}")
        assert all(name.startswith(f"{room}.") for name in stated), f"{option}: {stated}"
        assert list(parts(composed(option))), f"{option}: an option of a part's group chooses a part"


def test_every_target_exists_and_its_keys_are_its_parameters() -> None:
    for part in (part for option in OPTIONS for part in parts(composed(option))):
        keys = {key for key in part if not key.startswith("_")}
        assert keys <= named(part), f"{part['_target_']} does not know {keys - named(part)}"
        assert by_config(part) <= keys, f"{part['_target_']} needs {by_config(part) - keys}"


def by_config(part: Mapping[str, Any]) -> set[str]:
    """Return the arguments that a part's YAML must give; a factory takes its positional ones from the program."""
    return {
        name
        for name, parameter in inspect.signature(target(part)).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
        and (parameter.kind is parameter.KEYWORD_ONLY or not part.get("_partial_"))
    }


def named(part: Mapping[str, Any]) -> set[str]:
    """Return the names that a part's target takes; those of **parts are the fields of its type."""
    parameters = inspect.signature(target(part)).parameters
    names = {name for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD}
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            function = target(part).__init__ if inspect.isclass(target(part)) else target(part)
            if get_type_hints(function)[name] is Any:  # arguments that a class passes to its base class
                names |= {name for base in target(part).__mro__[1:-1] for name in inspect.signature(base).parameters}
            else:
                names |= set(get_type_hints(function)[name].__args__[0].__annotations__)
    return names


def test_a_part_has_15_lines_at_most() -> None:
    lines = {option: len((CONF / f"{option}.yaml").read_text("utf-8").splitlines()) for option in OPTIONS}
    assert [option for option in OPTIONS if lines[option] > LONGER.get(option, 15)] == []


def test_a_regime_sets_only_keys_that_exist() -> None:
    for path in (CONF / "regime").glob("*.yaml"):
        own = OmegaConf.load(path)
        assert isinstance(own, DictConfig)
        defaults = [choice for one in own.pop("defaults", []) for choice in one.items()]
        default = keys(load([f"{group.removeprefix('override /')}={name}" for group, name in defaults]))
        assert keys(load([f"regime={path.stem}"])) == default, path.stem
        assert keys(own) <= default, path.stem


def test_an_option_that_is_not_there_is_refused_in_every_group() -> None:
    from hydra.errors import MissingConfigException

    for group in (*Parts.__annotations__, "regime", "model/position"):
        with pytest.raises(MissingConfigException):
            load([f"{group}=nonesuch"])


def keys(value: Any, prefix: str = "") -> set[str]:
    """Return the dotted keys of all leaves, without Hydra's own."""
    found: set[str] = set()
    container: Any = OmegaConf.to_container(value) if isinstance(value, DictConfig) else value
    for name, child in container.items():
        if name != "hydra":
            found |= keys(child, f"{prefix}{name}.") if isinstance(child, dict) else {f"{prefix}{name}"}
    return found


def test_no_path_of_a_machine_is_in_conf() -> None:
    for path in CONF.rglob("*.yaml"):
        assert str(Path.home()) not in path.read_text("utf-8")
