"""Arguments of the small commands: `key=value` words without a Hydra config."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from bertlab.config.errors import InputError


def parse(defaults: Mapping[str, Any], usage: str | None, words: Sequence[str]) -> dict[str, Any]:
    """Return `defaults` updated by the command line; `--help` prints `usage` and ends the program.

    Raises InputError for a word that is not key=value and for an unknown key.
    """
    if {"-h", "--help"} & set(words):
        print((usage or "").strip())  # noqa: T201
        raise SystemExit(0)
    arguments, seen = dict(defaults), set[str]()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in defaults:
            near = difflib.get_close_matches(key, defaults, n=1)
            hint = f"did you mean {near[0]}=...?" if near else f"the keys are {', '.join(defaults)}"
            raise InputError(f"arguments must be key=value with a known key, got {word}; {hint}")
        if key in seen:
            raise InputError(f"{key} must be given once, got {word} too; leave one of them out")
        seen.add(key)
        arguments[key] = value
    return arguments
