"""Hydra's composition, cached: it takes a third of a second, and most tests choose the same options.

The content of the project's files is read once per choice of options; values from a command line are set every time.
"""

from copy import deepcopy
from dataclasses import replace
from typing import Any

from hydra._internal import config_loader_impl as loader
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import Overrides

from bertlab.config.compose import CONF, project_folder

OURS = {"hydra.conf", "", str(CONF), str(project_folder("sweeps"))}  # the search path without a user's folder
HYDRAS = loader.create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list
lists, configs = dict[str, Any](), dict[str, Any]()


def keep_compositions() -> None:
    """Let Hydra cache what it reads from the files."""
    set_steps(list_once, merge_once)


def set_steps(list_files: Any, merge_files: Any) -> None:
    """Cache the two slow steps of a composition: finding its files, and merging them."""
    loader.create_defaults_list = list_files
    ConfigLoaderImpl._compose_config_from_defaults_list = merge_files  # type: ignore[method-assign]


def list_once(repo: Any, config_name: Any, overrides_list: Any, **how: Any) -> Any:
    asked, kept = Overrides(repo, overrides_list), lists if is_ours(repo) else {}
    options = repr((config_name, how, asked.override_choices, asked.append_group_defaults, asked.deletions))
    if options not in kept:
        kept[options] = HYDRAS[0](repo, config_name, overrides_list, **how)
    return replace(kept[options], config_overrides=asked.config_overrides)


def merge_once(self: ConfigLoaderImpl, defaults: Any, repo: Any) -> Any:
    files, kept = repr(defaults), configs if is_ours(repo) else {}
    if files not in kept:
        kept[files] = HYDRAS[1](self, defaults, repo)
    return deepcopy(kept[files])


def is_ours(repo: Any) -> bool:
    return {source.path for source in repo.get_sources()} <= OURS
