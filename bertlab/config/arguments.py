"""Arguments of the small commands: `key=value` words without a Hydra config; help and version of all commands."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bertlab import __version__
from bertlab.config.errors import InputError

HELP, VERSION = ("-h", "--help"), "--version"
ANSWERED = (*HELP, VERSION)  # flags that every command answers, and then ends


def answer(usage: str | Callable[[], str] | None, words: Sequence[str]) -> None:
    """Print what `--help` or `--version` asks for, and end the program; otherwise do nothing."""
    if set(HELP) & set(words):
        print((usage() if callable(usage) else usage or "").strip())  # noqa: T201
    elif VERSION in words:
        print(f"bertlab {__version__}")  # noqa: T201
    else:
        return
    raise SystemExit(0)


def parse(defaults: Mapping[str, Any], usage: str | None, words: Sequence[str]) -> dict[str, Any]:
    """Return `defaults` updated by the command line; `--help` prints `usage` and ends the program, see `answer`.

    Raises InputError for a word that is not key=value and for an unknown key.
    """
    answer(usage, words)
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
