"""Checks the files of a user's own folder: it may hold only options and studies, under new names.

An option names something that a module of the folder defines, or that an option of bertlab names. Nothing is imported.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import yaml

from bertlab.config.errors import InputError
from bertlab.config.override_policy import EVERYWHERE, Folders, options_in, plain_yaml, specials_of
from bertlab.config.own import defined_by, defines, own_folder

PACKAGED = re.compile(
    r"^\s*#\s*@package\s+(?!(?:_global_|_group_)\s*$)", re.MULTILINE
)  # such a file sets keys outside its group


@cache
def check_files(conf: Folders, sweeps: Folders) -> None:
    """Refuse files that replace ours, are in no group, set Hydra's own keys, or name code from elsewhere.

    Raises InputError.
    """
    for _, error in refused_files(conf, sweeps):
        raise error


def refused_files(conf: Folders, sweeps: Folders) -> Iterator[tuple[Path, InputError]]:
    """Yield every file that may not be used, with the reason."""
    for (ours, *own), groups in ((conf, None), (sweeps, ["study"])):
        for folder in own:
            for path in sorted(folder.rglob("*.yaml")):
                place = path.relative_to(folder)
                try:
                    _check_place(path, place, ours, groups)
                    _check_content(path, place.parent.as_posix(), conf[:1])
                except InputError as error:
                    yield path, error


def _check_place(path: Path, place: Path, ours: Path, groups: Sequence[str] | None) -> None:
    known = groups or [each.relative_to(ours).as_posix() for each in sorted(ours.rglob("*")) if each.is_dir()]
    group = place.parent.as_posix()
    if group not in (allowed := [name for name in known if not name.startswith("hydra")]):
        raise InputError(f"{path} must be in the folder of a group, got {group}; choose one of {', '.join(allowed)}")
    if (ours / place).exists():
        raise InputError(f"{path} must have a name of its own, got that of an option of bertlab; rename it")


def _check_content(path: Path, group: str, conf: Folders) -> None:
    text = path.read_text("utf-8")
    try:
        option = plain_yaml(text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path} must be YAML, got {' '.join(str(error).split())}; correct it") from error
    if not isinstance(option, dict):
        raise InputError(f"{path} must hold keys with values, got {option}; correct it")
    steers = option.get("hydra", {"mode": "MULTIRUN"}) != {"mode": "MULTIRUN"} or "hydra" in str(option.get("defaults"))
    if steers or PACKAGED.findall(text):
        raise InputError(f"{path} must not set Hydra's own keys except hydra: {{mode: MULTIRUN}}; remove them")
    if "on_end" in text:
        raise InputError(f"{path} must not set tracking.on_end, which is for the command line only; remove it")
    part = option.get(group) if EVERYWHERE in text else option
    own = specials_of(part) if isinstance(part, dict) else frozenset()
    target = dict(own).get("_target_", "nothing")
    if own and not (defines(target) or own in options_in(conf)[0].get(group, set())):
        raise InputError(f"{path}: _target_ must be {_wanted(str(target))}")


def _wanted(target: str) -> str:
    """Return the end of the message about a target that cannot be used: the bound, the value and the next step."""
    module, folder = target.rpartition(".")[0], own_folder()
    if folder is not None and target.partition(".")[0] == folder.name and module != folder.name:
        names = defined_by(module)
        if names is None:
            return f"in a module of {folder}, got {target}; there is no module {module}: write its file, or correct it"
        known = f"it defines {', '.join(names)}" if names else "it defines nothing"
        return f"a class or function that {module} defines, got {target}; {known}: correct one of both"
    return (
        "a class or function that a module of this folder defines, or that of an option of bertlab, got "
        f"{target}; write the folder, the module and the name, joined by dots"
    )
