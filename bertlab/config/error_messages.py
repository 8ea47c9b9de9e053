"""Error messages: one line on stderr and an exit code. 2: wrong input, 1: a bug, 130: an interrupt.

Imports nothing heavy: a composition error must appear at once.
"""

import difflib
import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException, InstantiationException, MissingConfigException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from bertlab.config.building import FULL_KEY
from bertlab.config.compose import conf_folders, load, resolved
from bertlab.config.errors import InputError
from bertlab.config.override_policy import OWN_KEYS, plain_yaml
from bertlab.config.own import place_of
from bertlab.config.redact import redacted

MANY = 20  # with more options than this, a message lists only similar ones
LONGEST = 1000  # characters of a message; user input may be longer
NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "maximum allowed",
    "array is too big",
    "storage size calculation",
)
QUOTES = "'\")"
UNFIT = "Error merging override "  # Hydra's words for a value of the wrong type
TRACEBACK = "BERTLAB_TRACEBACK"  # set to 1 to see tracebacks; hydra.verbose=true does the same


@contextmanager
def one_line_errors(words: Sequence[str] = ()) -> Iterator[None]:
    """Turn exceptions of the block into one line and an exit code. `words`: the command line, which chooses options."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # write escapes for characters that the encoding lacks, as stderr does
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        if sys.stdout:
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise _exit("interrupted; type the same command to run it again", 130) from None
    except BrokenPipeError:  # the reader closed the pipe, as in `... --help | head`
        raise SystemExit(1) from None
    except Exception as error:
        message = explain(error, words)
        if message is None or os.environ.get(TRACEBACK) == "1" or any("hydra.verbose" in word for word in words):
            print(redacted(traceback.format_exc()), file=sys.stderr)  # noqa: T201
        if message is None and (place := place_of(error)):
            raise _exit(f"stopped by an error of your folder ({type(error).__name__}){place}; correct it", 1) from None
        if message is None:
            raise _exit(f"stopped by an error of its own ({type(error).__name__}); please report it", 1) from None
        raise _exit(message, 2) from None
    finally:
        _write_or_drop()


def _write_or_drop() -> None:
    """Write what was printed; drop it if this fails, else Python tries again when it exits and shows a traceback."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit(message: str, code: int) -> SystemExit:
    print(f"bertlab: {printable(redacted(message))}", file=sys.stderr)  # noqa: T201
    return SystemExit(code)


def explain(error: BaseException, words: Sequence[str] = ()) -> str | None:
    """Return a one-line message that tells the user what to correct, or None for a bug.

    `words`: the command line; an unknown key is compared with the keys of the options that it chooses.
    """
    for cause in _causes(error):
        match cause:
            case InputError():
                return _line(str(cause))
            case MissingMandatoryValue():
                return f"{cause.full_key} must be given; add {cause.full_key}=... to the command line"
            case MissingConfigException(missing_cfg_file=str(missing), options=list(options)):
                group, _, name = missing.rpartition("/")
                known = [option for option in options if not option.startswith("_")]  # _study is a shared base
                near = difflib.get_close_matches(name, known, n=3) if len(known) > MANY else []
                hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(known)}"
                return f"{group}={name} is not an option; {hint}"
    match error:
        case InstantiationException():
            return _instantiation(error)
        case HydraException() | OmegaConfBaseException():
            return _unknown_key(str(error), words) or _unfit(str(error)) or _line(str(error))
        case ValueError() if str(error).startswith("Config group override"):
            return "a config group takes the name of an option; bertlab run --help lists groups and options"
        case MemoryError() | RuntimeError() | ValueError() | OSError() if _is_memory(error):
            reason = _line(str(error))[:200] or type(error).__name__
            return (
                f"this needs more memory than there is ({reason}); lower batch.size or batch.length, or choose a "
                "smaller model or corpus"
            )
        case OSError(filename=name, strerror=reason) if reason:
            return f"{name or 'the output'} cannot be used: {reason.lower()}; choose another with output_dir=..."
    return None


def _is_memory(error: BaseException) -> bool:
    """Return whether memory ran out: torch and numpy have their own errors for it."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)


def _instantiation(error: InstantiationException) -> str:
    """Return which key a part does not know, or why else it could not be built."""
    part = str(error).rpartition(FULL_KEY)[2].strip()
    reason = _line(str(error.__cause__ or error))
    _, unknown, rest = reason.partition("got an unexpected keyword argument ")
    if unknown:
        return f"{part}.{rest.strip(QUOTES)} is not a key of this part; bertlab run --help lists the keys"
    return f"{part} cannot be built: {reason}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unknown_key(message: str, words: Sequence[str]) -> str | None:
    """Rewrite Hydra's message about an unknown key; suggest the most similar keys."""
    if not message.startswith("Could not override '"):
        return None
    key = message.split("'")[1]
    known = list(_keys(_chosen(key, words), ""))
    if inside := [each for each in known if each.startswith(f"{key}.")]:
        return (
            f"{key} has keys of its own, {', '.join(inside)}; set them one by one (~KEY takes one away, +KEY adds one)"
        )
    near = _near(key, [each for each in known if each != key])
    if near:
        return f"{key} is not a key of the configuration; did you mean {' or '.join(near)}?"
    options = _options_with(key)
    hint = f"of the options {' and '.join(options)} have it" if options else "bertlab run --help lists the keys"
    return f"{key} is not a key of the configuration; {hint}"


def _options_with(key: str) -> list[str]:
    """Return the options that have a key which the chosen options lack."""
    *groups, name = key.split(".")
    group = "/".join(groups)
    files = [path for folder in conf_folders() for path in sorted((folder / group).glob("[!_]*.yaml")) if groups]
    return [f"{group}={path.stem}" for path in files if name in (plain_yaml(path.read_text("utf-8")) or {})]


def _unfit(message: str) -> str | None:
    """Rewrite Hydra's message about a value of the wrong type."""
    if not message.startswith(UNFIT):
        return None
    word = message.removeprefix(UNFIT)
    key, _, value = word.lstrip("+~").partition("=")
    return f"{key} must have the shape that it has now, got {value}; bertlab run --help lists the keys"


def _near(key: str, known: Sequence[str]) -> list[str]:
    """Return the most similar keys; first keys that end with it, as `optimizer.lr` ends with `lr`."""
    ends = [each for each in known if each.endswith(f".{key}")]
    return ends[:3] or difflib.get_close_matches(key, known, n=3)


def _chosen(key: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of the chosen options, if they compose without `key`."""
    words = [word for word in words if "=" in word and word.lstrip("+~").partition("=")[0] != key]
    try:
        return resolved(load(words))
    except (HydraException, OmegaConfBaseException):
        return resolved(load([]))


def _keys(value: Any, key: str) -> Iterator[str]:
    if key:
        yield key
    if isinstance(value, dict):
        for name, child in value.items():
            if name not in OWN_KEYS:
                yield from _keys(child, f"{key}.{name}" if key else name)


def _line(text: str) -> str:
    line = printable(redacted(" ".join(text.split())))
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


def printable(text: str) -> str:
    """Escape characters that control a terminal or change the writing direction."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
