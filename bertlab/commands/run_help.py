"""The help of `bertlab run`, made from the files of conf/ and their comments.

Enters: words that choose options. Leaves: each group with its options, and each key of a run with these options, with
its value and the comment of its line. Nothing is listed by hand.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from bertlab.config.compose import CONF, choices, conf_folders, load, sweep_folders
from bertlab.config.leaves import leaves, written
from bertlab.config.override_policy import OWN_KEYS
from bertlab.tracking.mlflow import Place

WIDTH = 120
USAGE = """\
Train one run; with -m a run of each value between commas, with a report; or a study.

  bertlab run mask.rate=0.3                           one run
  bertlab run -m mask.rate=0.15,0.3 seed=0,1,2        six runs, paired by seed; bertlab sweep is short for run -m
  bertlab run study=mask_rate                         a registered question; bertlab study mask_rate is the same
  bertlab run mask=span model=tiny --help             the keys of other options
  bertlab run data=text 'data.files=corpus/*.txt.gz'  your own text
  bertlab run 'tasks=[{file: my.tsv, kind: classification}]'   your labels: fine-tuning at the end; docs/tasks.md
  bertlab run mask=span --cfg job                     print the whole configuration, run nothing
  bertlab run --own my_lab --help                     with options and studies of a folder of your own: docs/own.md

Finished runs are not repeated, and stopped runs continue. All settings are checked before a run begins."""
LINE = re.compile(r"(?P<indent> *)(?P<key>[\w/@]+):(?P<value>.*?)(?:\s#\s(?P<comment>.*))?$")
GROUP = re.compile(r"  - (\w+): \w+ +# (.*)")  # a line of the defaults list in run.yaml


def help_text(words: Sequence[str]) -> str:
    """Return the help for the options that the words choose. Raises InputError and Hydra's errors."""
    config = load(words)
    chosen = choices(config)
    sections = (
        ("Groups (group=option; * is chosen)", _groups(chosen)),
        ("Keys (key=value, as they are with these options)", _keys(config, chosen)),
        ("Launchers (hydra/launcher=NAME hydra.launcher.KEY=VALUE)", _listing(_launchers())),
    )
    written = ["\n".join([title, *lines]) for title, lines in sections]
    return "\n\n".join([USAGE, *written[:-1], "\n".join(studies()), written[-1]])


def studies() -> Iterator[str]:
    """Yield the names of the studies, as lines below a title."""
    yield "Studies (study=ID; bertlab studies lists their questions)"
    yield from _listing(_options(sweep_folders(), "study"))


def _groups(chosen: Mapping[str, str]) -> Iterator[str]:
    """Yield each group with its options and its purpose."""
    about = dict(GROUP.findall((CONF / "run.yaml").read_text("utf-8")))
    folders = [path for path in CONF.rglob("*") if path.is_dir() and list(path.glob("*.yaml"))]
    names = sorted((path.relative_to(CONF).as_posix() for path in folders), key=lambda name: name.split("/"))
    for name in (name for name in names if not name.startswith("hydra")):
        options = " ".join(f"*{each}" if chosen.get(name) == each else each for each in _options(conf_folders(), name))
        yield from _wrapped(f"  {name:<20} ", options + (f"  # {about[name]}" if name in about else ""))


def _keys(config: DictConfig, chosen: Mapping[str, str]) -> Iterator[str]:
    """Yield each key with its value and the comment of its line."""
    settings = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    comments = comments_of(CONF / "run.yaml", "")
    for choice, option in sorted(chosen.items(), key=lambda each: "@" not in each[0]):  # keys inside other parts first
        group, _, place = choice.partition("@")
        for path in (folder / group / f"{option}.yaml" for folder in conf_folders()):
            comments |= comments_of(path, place or group.replace("/", ".")) if path.is_file() else {}
    for key, value in leaves(settings):
        own = OWN_KEYS & set(key.split(".")) or key.startswith("study.")
        if not own and key.removeprefix("tracking.") not in Place.__annotations__:
            start = f"  {f'{key}={written(value)}':<38} "
            yield f"{start}{_first_clauses(comments.get(key, ''), WIDTH - len(start))}".rstrip()


def _first_clauses(text: str, room: int) -> str:
    """Return as many clauses of a comment as fit."""
    while len(text) > room and "; " in text:
        text = text.rpartition("; ")[0]
    return text if len(text) <= room else f"{text[: room - 3]}..."


def comments_of(path: Path, place: str) -> dict[str, str]:
    """Return the comments of an option's file by key. Comments of its base option come first."""
    found, open_keys, text = dict[str, str](), list[tuple[int, str]](), path.read_text("utf-8")
    for base in [each for each in yaml.safe_load(text).get("defaults", []) if each != "_self_"][:1]:
        if isinstance(base, str):
            found |= comments_of(path.with_name(f"{base}.yaml"), place)
    for match in filter(None, map(LINE.fullmatch, text.splitlines())):
        depth = len(match["indent"])
        open_keys = [(own, key) for own, key in open_keys if own < depth] + [(depth, match["key"])]
        if match["comment"]:
            found[".".join(filter(None, [place, *(key for _, key in open_keys)]))] = match["comment"]
    return found


def _options(folders: Sequence[Path], group: str) -> list[str]:
    return sorted(path.stem for folder in folders for path in (folder / group).glob("[!_]*.yaml"))


def _launchers() -> list[str]:
    """Return the launchers of plugins and those of conf/."""
    registered = {name.removesuffix(".yaml") for name in ConfigStore.instance().list("hydra/launcher")}
    return sorted({*registered, *_options(conf_folders(), "hydra/launcher")})


def _listing(names: Sequence[str]) -> Iterator[str]:
    yield from _wrapped("  ", " ".join(names))


def _wrapped(start: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
