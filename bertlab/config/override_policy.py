"""Override policy: which words a command line may give to Hydra, and which targets a configuration may name.

Hydra runs what a configuration names (`_target_`, callbacks, logging), reads configurations from anywhere
(`--config-dir`, `hydra.searchpath`) and unpickles (`--experimental-rerun`). Here a command line may only choose options
and set their values. Every target must be in an option's file, in conf/ or in a user's own folder
(bertlab/config/own_files.py).
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override

from bertlab.config.errors import InputError
from bertlab.config.leaves import leaves, written
from bertlab.config.reading import overrides_in, parsed

FLAGS = {"-m", "--multirun", "-r", "--run", "-h", "--help", "--hydra-help", "--version", "--resolve"}
SHOWN, INFORMED = ("job", "hydra", "all"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
TAKES: dict[str, tuple[str, ...]] = {"-c": SHOWN, "--cfg": SHOWN, "-p": (), "--package": (), "-i": INFORMED}
TAKES["--info"] = INFORMED  # each takes a value: what to show
FLAGS |= set(TAKES)
OF_HYDRA = re.compile(
    r"hydra/launcher|hydra\.launcher\.[a-z]\w*(\.[a-z]\w*)*|hydra\.verbose|hydra\.mode|hydra/sweeper|"
    r"hydra\.sweeper\.(n_trials|n_jobs|direction|max_failure_rate|sampler\.seed|sampler\.n_startup_trials)"
)
SWEEPERS = ("bertlab", "optuna")
MOST_WORKERS = 1024  # on one machine
NO_NAME = re.compile(r"\.\.|[\[{:]|^['\"]?/")  # not an option's name: a path, a list, a mapping, an interpolation
FOLDERS = frozenset({"output_dir", "report_dir"})  # Hydra creates output_dir before our own checks run
EVERYWHERE = "@package _global_"  # marks a file that sets keys of several groups
NESTED = re.compile(r"/(\w+)@(\w+)")  # in a defaults list: group and key of a part inside a part
OWN_KEYS = frozenset({"_target_", "_partial_", "_args_", "_recursive_", "_convert_"})  # Hydra's own keys of a part
Specials = frozenset[tuple[str, str]]
Folders = tuple[Path, ...]  # conf/ of the project, then conf/ of the user's own folder, if any


def check_words(words: Sequence[str], groups: Sequence[Path]) -> None:
    """Refuse words of a command line that could make Hydra run, import, unpickle or write something else.

    `groups` are the folders with the config groups. Raises InputError, also for a word that cannot be parsed.
    """
    for word in words:
        _check_characters(word)
        if word.startswith("-"):
            _check_flag(word)
    _check_usage(words)
    for word in overrides_in(words):
        override = parsed(word)
        key, package, value = override.key_or_group, override.package or "", word.partition("=")[2]
        if "oc.deprecated" in value:
            raise InputError(f"{key} must not hold oc.deprecated, got {word}; name the other key: {key}='${{seed}}'")
        # a part without these keys would be built differently
        if override.is_delete() and key.rpartition(".")[2] in OWN_KEYS:
            raise InputError(f"{key} must stay, got {word}; choose another option of the group")
        # folders must be plain paths
        if FOLDERS & {key, package}:
            _check_folder(package or key, override)
        # Hydra's own keys: only those of OF_HYDRA
        if re.match(r"hydra\b", package) or (re.match(r"hydra\b", key) and not OF_HYDRA.fullmatch(key)):
            raise InputError(
                f"{package or key} is not for the command line; of Hydra's own keys there are hydra/launcher, "
                "hydra.launcher.*, hydra.verbose and hydra.mode; output_dir=... says where runs write"
            )
        # groups: only the name of an existing option
        is_group = key == "hydra/launcher" or any((folder / key).is_dir() for folder in groups)
        if ".." in key or (is_group and NO_NAME.search(value)):
            raise InputError(
                f"{key} takes the name of an option, got {value or key}; bertlab run --help lists the options"
            )
        if is_group and not package and (override.is_add() or override.is_force_add()):
            raise InputError(f"{key} has an option already, got {word}; remove the +")
        if key == "hydra/sweeper" and value not in SWEEPERS:
            raise InputError(f"{key}, of Hydra's own keys, must be {' or '.join(SWEEPERS)}, got {value}; choose one")
        if key in ("hydra.verbose", "hydra.mode"):
            _check_switch(key, override)
        # a launcher key must not name code
        if key.startswith("hydra") and "_target_" in value:
            raise InputError(f"{key} must hold plain values, got {value}; choose hydra/launcher by its name")


def check_items(words: Sequence[str], conf: Folders) -> None:
    """Refuse a key inside a list if it is not an existing index: Hydra cannot set it. Raises InputError."""
    for override in map(parsed, overrides_in(words)):
        key, lists = override.key_or_group, _lists(conf)
        for name in (each for each in lists if key.startswith(f"{each}.")):
            place = key.removeprefix(f"{name}.").partition(".")[0]
            is_set = not (override.is_add() or override.is_force_add() or override.is_delete())
            if not (is_set and place.isdecimal() and int(place) < len(lists[name])):
                whole = written(lists[name] or ["..."])
                raise InputError(f"{name} is given whole, got {override.input_line}; write for example {name}={whole}")


def _check_folder(key: str, override: Override) -> None:
    """Refuse a value that is not the path of one folder."""
    one = not (override.package or override.is_delete() or override.is_sweep_override())
    path = override.value() if one else None
    if not isinstance(path, str) or not path.strip() or path == "???" or "${" in path:
        given = override.input_line
        raise InputError(f"{key} must be the path of one folder, got {given}; write for example {key}='outputs/mine'")


def _check_switch(key: str, override: Override) -> None:
    """Refuse values of hydra.verbose and hydra.mode on which Hydra fails an assertion."""
    value = override.value()
    loggers = value if isinstance(value, list) else [value]
    if key == "hydra.verbose" and value is not True and not all(isinstance(each, str) for each in loggers):
        raise InputError(f"{key} must be true or name loggers, got {override.input_line}; write {key}=true")
    if key == "hydra.mode" and value not in ("RUN", "MULTIRUN"):
        raise InputError(f"{key} must be RUN or MULTIRUN, got {override.input_line}; choose one")


def _check_usage(words: Sequence[str]) -> None:
    """Refuse flags that Hydra's own parser would refuse, with one line instead of its usage text."""
    for place, word in enumerate(words):
        name, _, value = word.partition("=")
        value = value or " ".join(words[place + 1 : place + 2])
        if name in TAKES and (not value or value not in (TAKES[name] or (value,))):
            raise InputError(f"{name} takes {' or '.join(TAKES[name] or ('a name',))}, got {value!r}; --help shows how")


def _check_flag(word: str) -> None:
    if word.partition("=")[0] not in FLAGS:
        raise InputError(f"options are {', '.join(sorted(FLAGS))}, got {word}; everything else is key=value")


def _check_characters(word: str) -> None:
    if bad := next((char for char in word if ord(char) < 32 or "\ud800" <= char <= "\udfff"), None):
        raise InputError(f"arguments must hold no control character, got {bad!a} in {word!a}; remove it")


def check_launcher(launcher: object) -> None:
    """Refuse joblib settings now, not after planning: run joblib with an empty list of jobs. Raises InputError."""
    settings = dict(getattr(launcher, "joblib", {}))  # only Hydra's joblib launcher has this attribute
    if not settings:
        return
    from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg  # type: ignore[import-untyped]
    from joblib import Parallel

    if settings.get("n_jobs", -1) > MOST_WORKERS:
        raise InputError(f"hydra.launcher.n_jobs must be at most {MOST_WORKERS}, got {settings['n_jobs']}; lower it")
    process_joblib_cfg(settings)
    try:
        Parallel(**{**settings, "backend": "loky", "verbose": 0})(())
    except (ValueError, TypeError, OSError) as error:
        raise InputError(
            f"hydra.launcher must hold settings that joblib takes, got {' '.join(str(error).split())}; write for "
            "example hydra.launcher.n_jobs=2, or -1 for all cores"
        ) from error


def check_targets(config: Mapping[str, Any], conf: Folders) -> None:
    """Refuse a target, or another Hydra key of a part, that no option of the part's group has.

    Imports and calls nothing. Raises InputError.
    """
    # top-level keys
    if strangers := [key for key in config if key not in _keys(conf[0])]:
        raise InputError(f"{strangers[0]} is not a key of the configuration; bertlab run --help lists the keys")
    known, nested = options_in(conf)
    for place, node, group in _parts(config, "", known, nested):
        if node == {} and "." not in place:
            continue  # an empty group: some commands drop groups, for example bertlab.describe
        if not isinstance(node, Mapping) or "_target_" not in node:
            raise InputError(f"{place} must be one of the group's options, got {node}; choose one by its name")
        own = specials_of(node)
        if own not in (options := known.get(group, set())):
            targets = {dict(specials).get("_target_") for specials in options}
            if (target := str(node.get("_target_"))) not in targets:
                raise InputError(
                    f"{place}._target_ must name a part of bertlab, got {target}; choose an option of the group"
                )
            raise InputError(
                f"{place} must keep Hydra's own keys as its option has them, got {_written(own)}; set none of them"
            )


def check_keys(config: Mapping[str, Any], conf: Folders) -> None:
    """Refuse a part with a key that its options do not have, or with a missing key. Raises InputError."""
    known, nested = options_in(conf)
    for place, node, group in _parts(config, "", known, nested):
        keys = _keys_of_parts(conf).get((group, str(node.get("_target_"))), frozenset())
        own = {str(key) for key in node if key not in OWN_KEYS}
        if strangers := sorted(own - keys):
            near = difflib.get_close_matches(strangers[0], sorted(keys - own) or sorted(keys), n=1)
            advice = f"did you mean {place}.{near[0]}?" if near else f"its keys are {', '.join(sorted(keys)) or 'none'}"
            raise InputError(f"{place}.{strangers[0]} is not a key of this part; {advice}")
        if missing := sorted(keys - own):
            raise InputError(f"{place}.{missing[0]} must be given, got nothing; keep the value of its option")


def specials_of(node: Mapping[str, Any]) -> Specials:
    """Return Hydra's own keys of a part, with their values as text."""
    return frozenset((str(key), str(value)) for key, value in node.items() if key in OWN_KEYS)


def _written(own: Specials) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(own))


def _parts(
    value: Any, place: str, known: Mapping[str, Any], nested: Mapping[str, str], group: str = ""
) -> Iterator[tuple[str, Any, str]]:
    """Yield key, value and group of everything that Hydra would build or that must be a part."""
    if group in known or (isinstance(value, Mapping) and OWN_KEYS & set(value)):
        yield place, value, group
    if isinstance(value, Mapping):
        for name, child in value.items():
            inner = f"{group}/{name}".lstrip("/")
            yield from _parts(child, f"{place}.{name}".lstrip("."), known, nested, nested.get(inner, inner))
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _parts(child, f"{place}[{index}]", known, nested, f"{group}/{index}")


@cache
def _keys(conf: Path) -> frozenset[str]:
    """Return the keys that a configuration may have: those of run.yaml and of its groups."""
    run = plain_yaml((conf / "run.yaml").read_text("utf-8"))
    groups = {group for entry in run["defaults"] if isinstance(entry, dict) for group in entry}
    return frozenset(run.keys() | groups)


@cache
def options_in(conf: Folders) -> tuple[Mapping[str, set[Specials]], Mapping[str, str]]:
    """Return Hydra's own keys in the options of each group, and the group of each part inside a part."""
    known: dict[str, set[Specials]] = defaultdict(set)
    nested: dict[str, str] = {}
    for group, part, defaults in _files(conf):
        if "_target_" in part:
            known[group].add(specials_of(part))
        nested |= {f"{group}/{name}": other for other, name in NESTED.findall(str(defaults))}
    return dict(known), nested


@cache
def _keys_of_parts(conf: Folders) -> Mapping[tuple[str, str], frozenset[str]]:
    """Return the keys of each part, by group and target: keys of its file, and parts in its defaults list."""
    return {
        (group, part["_target_"]): frozenset(key for key in part if key not in OWN_KEYS | {"defaults"})
        | {_place(str(key)) for entry in defaults if isinstance(entry, dict) for key in entry}
        for group, part, defaults in _files(conf)
        if "_target_" in part
    }


def _place(key: str) -> str:
    """Return the key that an entry of a defaults list fills, with or without `override`."""
    return key.removeprefix("override ").rpartition("@")[2]


@cache
def _lists(conf: Folders) -> Mapping[str, Sequence[Any]]:
    """Return the keys with list values, each with the longest list in an option's file."""
    longest: dict[str, Sequence[Any]] = {}
    for group, part, _ in _files(conf):
        own = {name: value for name, value in part.items() if name != "defaults"}
        for key, value in leaves(own, group.replace("/", ".")):
            if isinstance(value, list):
                longest[key] = max(longest.get(key, []), value, key=len)
    return longest


@cache
def _files(conf: Folders) -> Sequence[tuple[str, Mapping[str, Any], Sequence[Any]]]:
    """Return the group, the part and the defaults of each option's file. Later entries win.

    So the project's own files come last.
    """
    found = []
    for folder, path in [(each, path) for each in reversed(conf) for path in sorted(each.rglob("*.yaml"))]:
        group, everywhere = path.parent.relative_to(folder).as_posix(), EVERYWHERE in path.read_text("utf-8")
        option, defaults = _option(path)
        found.append((group, option.get(group, {}) if everywhere else option, [] if everywhere else defaults))
    return found


def _option(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """Return the content of an option's file and its defaults, merged with those of its base options."""
    option = dict(plain_yaml(path.read_text("utf-8")) or {})
    defaults = list(option.get("defaults", []))
    for name in defaults:
        if isinstance(name, str) and (base := path.with_name(f"{name}.yaml")).is_file():
            inherited, more = _option(base)
            option, defaults = inherited | option, [*more, *defaults]
    return option, defaults


def plain_yaml(text: str) -> Any:
    """Parse YAML safely; the C library, if installed, takes a tenth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
