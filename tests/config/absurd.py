"""Every key of every option in conf/, at every possible place of the option, with a value that no key accepts.

Also a program, for test_bounds.py: it prints the message of each as JSON, and whether torch was imported for it.
"""

import copy
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bertlab.config.compose import CONF, load, resolved
from bertlab.config.error_messages import explain
from bertlab.train.early import check_early

Chosen = tuple[tuple[str, ...], str, dict[str, Any]]
VALUE = -1.5  # no share, no number of anything, no name of an option, neither true nor false
TEXT = {  # any word is accepted, and looked up later
    *("data.root", "data.path", "data.name", "data.revision", "data.column", "tracking.uri", "tracking.on_end"),
    *("tracking.parent", "tracking.factors", "tracking.baseline", "tracking.study", "tracking.arm"),  # a sweep's own
}
PLAIN = ("seed", "redraw", "batch.size", "batch.length", "batch.cls", "budget.tokens")
ELSEWHERE = {  # places where an option can be part of another one
    "mask": (("mask=noise", "mask.corruption"), ("mask=static", "mask.policy")),
    "pairs": (("pairs=nsp", "evaluation.text"), ("pairs=nsp", "evaluation.pairs")),
}
DEEPER = ("mask=static", "mask@mask.policy=apart"), "mask.policy.corruption"
MIXED = ["data.files=README.md", "data.general=general.jsonl"]
GIVEN = {
    "data=text": ["data.files=README.md"],
    "data=mixed": MIXED,
    "pairs=mixed": ["data=mixed", *MIXED],
    "data=hub": ["data.path=here"],
    "tokenizer=file": ["tokenizer.path=here"],
    "evaluation/tasks=own": ["evaluation=tasks"],
}


def messages(options: Iterable[Chosen]) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """Yield the words that choose an option, a key of it, and the message for the absurd value there."""
    for words, place, config in options:
        for key in PLAIN if not place else [f"{place}.{name}" for name in own_values(config, place)]:
            changed = copy.deepcopy(config)
            *above, name = key.split(".")
            part(changed, above)[name] = VALUE
            yield words, key, said(changed)


def chosen() -> Iterator[Chosen]:
    """Yield the words that put an option at a place, the place, and the configuration."""
    yield (), "", resolved(load([]))
    for path in sorted(CONF.rglob("*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        if group in (".", "regime") or group.startswith("hydra"):
            continue
        option = f"{group}={path.stem}"
        words = (option, *GIVEN.get(option, ()))
        yield words, group.replace("/", "."), resolved(load(words))
        for other, place in ELSEWHERE.get(group, ()):
            words = (other, f"{group}@{place}={path.stem}", *GIVEN.get(option, ()))
            config = resolved(load(words))
            if said(config) is None:  # noise, for example, falls on what is chosen at a rate
                yield words, place, config
    yield *DEEPER, resolved(load(DEEPER[0]))


def said(config: Mapping[str, Any]) -> str | None:
    """Return the line that refuses a configuration, None for a good one."""
    try:
        check_early([config])
    except Exception as error:
        return explain(error) or repr(error)
    return None


def part(config: Any, place: Sequence[str]) -> Any:
    for name in place:
        config = config[name]
    return config


def own_values(config: Mapping[str, Any], place: str) -> Iterator[str]:
    for name, value in part(config, place.split(".")).items():
        if not (name.startswith("_") or isinstance(value, Mapping) or f"{place}.{name}" in TEXT):
            yield name


def keys(value: Any, key: str = "") -> Iterator[str]:
    """Yield the full names of all keys of a configuration."""
    yield key
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from keys(child, f"{key}.{name}".lstrip("."))


if __name__ == "__main__":
    options = list(chosen())
    known = [(words, sorted(keys(config))) for words, _, config in options]
    print(json.dumps({"messages": list(messages(options)), "keys": known, "torch": "torch" in sys.modules}))
