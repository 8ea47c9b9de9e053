"""The tasks on which a run is scored, from the settings `tasks=[...]` and `tasks.glue=<folder>`.

An entry gives a file, or one file per part, or a dataset; a kind; and the columns if they have other names. Settings of
all tasks (seeds, learning rates, ...) are next to the list; an entry may override them.
"""

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from bertlab.config.bounds import COUNT, Rule, optional
from bertlab.config.cache import digest
from bertlab.config.errors import InputError, at, one_of, open_intervals, own, true_or_false, whole_number
from bertlab.tasks import (
    classification,
    minimal_pairs,
    multilabel,
    regression,
    tagging,
    text,
    word_in_context,
    word_sense,
)
from bertlab.tasks.encoding import Encoder
from bertlab.tasks.glue import glue_entries
from bertlab.tasks.kind import Kind, Prepared
from bertlab.tasks.parts import NAMES, PARTS, Source, Three, divided, few

log = logging.getLogger(__name__)

KINDS: Mapping[str, Kind] = {
    "classification": classification.KIND,
    "regression": regression.KIND,
    "multilabel": multilabel.KIND,
    "tagging": tagging.KIND,
    "word_in_context": word_in_context.KIND,
    "word_sense": word_sense.KIND,
    "minimal_pairs": minimal_pairs.KIND,
    "text": text.KIND,
}
METHODS = ("finetune", "probe")
MEAN = "mean"  # name of the mean over tasks, not allowed for a task
SOURCE = ("file", *PARTS, "dataset", "config", "columns", "skip_broken")  # keys of an entry for the place of its rows
NAME = re.compile(r"[A-Za-z0-9][\w-]{0,39}")
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Tuning:
    """How a task is learned."""

    method: str  # finetune: all weights are trained; probe: they are frozen, only a linear layer is trained
    seeds: int
    rates: Sequence[float]
    epochs: int
    size: int
    patience: int
    most: int | None


RULES: Mapping[str, Rule] = {
    "method": lambda key, value: one_of(key, value, METHODS),
    "seeds": COUNT,
    "rates": lambda key, value: open_intervals(key, value, 0, 1),
    "epochs": COUNT,
    "size": COUNT,
    "patience": COUNT,
    "most": optional(lambda key, value: whole_number(key, value, 10)),
}


@dataclass(frozen=True)
class Asked:
    """A task as it was requested."""

    name: str
    kind: str
    source: Source
    columns: Mapping[str, str]
    tuning: Tuning

    def fingerprint(self) -> object:
        """Return what a score depends on: the settings and the content of the files."""
        tuning = {field.name: getattr(self.tuning, field.name) for field in fields(Tuning)}
        return [self.name, self.kind, sorted(self.columns.items()), tuning, self.source.fingerprint()]

    def prepare(self, tokenizer: Tokenizer, length: int) -> Prepared:
        """Read the files and make examples of at most `length` tokens. Raises InputError."""
        kind, rows = KINDS[self.kind], self.source.rows(self.columns.values())
        if kind.head == "alternatives":
            parts = Three(
                [], [], few(rows.get("test") or [row for some in rows.values() for row in some], self.tuning.most)
            )
        else:
            parts = divided(rows, self.tuning.most)
        prepared = kind.prepare(parts, self.columns, Encoder(tokenizer, length))
        tested = prepared.parts.test
        if cut := sum(example.cut for example in tested):
            _say_once(
                f"task {self.name}: {cut} of {len(tested)} texts are cut to {length} tokens; a larger batch.length "
                "cuts fewer"
            )
        return prepared


class Tasks:
    """All tasks of a run, and their default settings."""

    def __init__(
        self,
        *,
        list: Sequence[Entry],
        glue: str | None,
        method: str,
        seeds: int,
        rates: Sequence[float],
        epochs: int,
        size: int,
        patience: int,
        most: int | None,
    ) -> None:
        if isinstance(list, str) or not isinstance(list, Sequence):
            raise InputError(
                f"{own('list')} must be a list of tasks, got {list}; write [{{file: FILE, kind: classification}}]"
            )
        if not (glue is None or (isinstance(glue, str) and glue)):
            raise InputError(f"{own('glue')} must be null or a folder in GLUE's layout, got {glue}; name the folder")
        common = Tuning(method, seeds, rates, epochs, size, patience, most)
        for key in RULES:
            _held(key, getattr(common, key))
        self._glue, entries = glue, []
        for place, entry in enumerate(list):
            with at(f"list[{place}]"):
                entries.append(_asked(entry, common))
        self._entries, self._common = entries, common
        _each_once(entries)

    @property
    def asked(self) -> Sequence[Asked]:
        """The tasks, with those of a folder in GLUE's layout last. Raises InputError."""
        more = [] if self._glue is None else [_asked(entry, self._common) for entry in glue_entries(Path(self._glue))]
        _each_once([*self._entries, *more])
        return [*self._entries, *more]

    def check(self) -> None:
        """Raise InputError for missing files."""
        for task in self.asked:
            task.source.check()

    def fingerprint(self) -> str:
        """Hash of the settings and the content of the files, without their paths."""
        return digest([task.fingerprint() for task in self.asked])


@cache
def _say_once(line: str) -> None:
    """Warn once: a study prepares the tasks for each of its arms and each run."""
    log.warning(line)


def names_of(entries: Sequence[Entry]) -> str:
    """Return the names of tasks in one line."""
    return ",".join(_name(entry, _source(entry)) for entry in entries)


def _held(key: str, value: Any) -> Any:
    RULES[key](key, value)
    if key == "rates" and not value:
        raise InputError(f"{own(key)} must hold a learning rate, got none; choose for example [3e-4]")
    return value


def _asked(entry: object, common: Tuning) -> Asked:
    if not isinstance(entry, Mapping):
        raise InputError(f"{own()} must be a task, got {entry}; write {{file: FILE, kind: classification}}")
    kind = one_of("kind", entry.get("kind"), tuple(KINDS))
    needs, may = KINDS[kind].needs, KINDS[kind].may
    known = ("name", "kind", *SOURCE, *needs, *may, *RULES)
    if strange := sorted(str(key) for key in entry if key not in known):
        near = difflib.get_close_matches(strange[0], known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"its keys are {', '.join(known)}"
        raise InputError(f"{own(strange[0])} is no key of a task of {kind}; {advice}")
    for key in (*needs, *may, "file", *PARTS, "dataset", "config"):
        if not isinstance(entry.get(key, "x"), str):
            raise InputError(f"{own(key)} must be a word, got {entry[key]}; put it in quotes")
    columns = {key: str(entry.get(key, key)) for key in needs} | {key: str(entry[key]) for key in may if key in entry}
    source = _source(entry)
    tuning = replace(common, **{key: _held(key, entry[key]) for key in RULES if key in entry})
    return Asked(_name(entry, source), kind, source, columns, tuning)


def _source(entry: Entry) -> Source:
    files = {
        part: Path(entry[key]).expanduser()
        for key, part in (("file", ""), *zip(PARTS, PARTS, strict=True))
        if key in entry
    }
    given = [bool("file" in entry), bool(files.keys() - {""}), "dataset" in entry]
    if sum(given) != 1:
        said = [key for key in ("file", *PARTS, "dataset") if key in entry]
        raise InputError(
            f"{own()} must have file, or train and test, or dataset, got {' and '.join(said) or 'none'}; name one"
        )
    if KINDS[entry["kind"]].head != "alternatives" and given[1] and ("train" not in files or len(files) < 2):
        raise InputError(f"{own()} must have train and test or valid, got {' and '.join(files)}; name the other file")
    names = entry.get("columns")
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
        raise InputError(f"{own('columns')} must list the columns of a file without header, got {names}; write [a, b]")
    columns = None if names is None else [*map(str, names)]
    skips = true_or_false("skip_broken", entry.get("skip_broken", False))
    return Source(files, entry.get("dataset"), entry.get("config"), columns, skips)


def _name(entry: Entry, source: Source) -> str:
    of_file = next(map(_of_file, source.files.values()), str(source.dataset).rpartition("/")[2])
    name = entry.get("name", of_file)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(
            f"{own('name')} must be letters, digits, - and _, 40 at most, got {name}; give the task a name"
        )
    if name == MEAN:
        raise InputError(f"{own('name')} must not be {MEAN}, which is the mean over tasks; give the task another name")
    return name


def _of_file(path: Path) -> str:
    """Return the name of a file; that of its folder if the file has the name of a part, `train` or `all`."""
    name = path.name.partition(".")[0]
    return path.parent.name if name in (*NAMES, "all") and NAME.fullmatch(path.parent.name) else name


def _each_once(tasks: Sequence[Asked]) -> None:
    names = [task.name for task in tasks]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{own('list')} must name each task once, got {twice[0]} twice; give one of them another name")
