"""Reads a command line before Hydra: finds the word that cannot be read, and suggests a correction.

Hydra's messages do not name the word. Of two values for one key it silently takes the last, so a typing mistake would
go unnoticed.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from bertlab.config.errors import InputError

MULTIRUN = ("-m", "--multirun")
COMMANDS = (("-r", "--run"), MULTIRUN, ("-c", "--cfg"), ("-i", "--info"))  # Hydra accepts one of these
TAKE_A_WORD = ("-c", "--cfg", "-p", "--package", "-i", "--info")
MOST_JOBS = 100_000  # most jobs of a sweep: more would fill the memory before the first run
TASKS = "evaluation=tasks"  # the option that has the user's own tasks
DETECTING, ENCODERS = "objective=replaced", "evaluation=detection"  # an objective; its evaluation with tasks
OF_TASKS = re.compile(r"tasks(\.[a-z]+)?=")  # short form of its keys
FILE = re.compile(r"[^\[\]{}$,'\"]+\.(jsonl|csv|tsv|parquet)(\.(gz|xz|zst))?")  # the file of a single task
RUNG = re.compile(r"rung=(\w+)")  # short form of a regime; also selects the rung in a study
OF_DEVICES = re.compile(r"trainer\.(devices|accumulate)=(.*)")  # keys of the options for several devices
DIVIDING = {"trainer=cpu": "trainer=cpus", "trainer=gpu": "trainer=gpus"}
OF_SWEEPS = re.compile(r"\+{0,2}hydra[./](launcher|sweeper)\b")  # keys that choose how and where jobs run
KEEPING = "trainer.keep_at="  # the key of the option that keeps intermediate weights
QUOTE, ESCAPED, QUOTES = "'", "\\'", "'\""
PARSER = OverridesParser.create()


def overrides_in(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command line that are, or should be, key=value."""
    for before, word in pairwise(["", *words]):
        if not word.startswith("-") and before not in TAKE_A_WORD:
            yield word


def written_out(words: Sequence[str], *, whole: bool = True) -> list[str]:
    """Return the words with short forms written out. `whole` is false for the words of an arm, true for a command line.

    Short forms: `start=`, `tasks=`, `tasks.<key>=`, `trainer.devices=`, `trainer.accumulate=`, `trainer.keep_at=`,
    `rung=` of a study, and `objective=replaced` without a model or an evaluation.
    """
    written = [re.sub(r"^(\+{0,2})start=", r"\1start.from=", word) for word in words]
    written = _with_devices(list(_with_tasks(_with_detection(written) if whole else written)))
    if any(word.startswith(KEEPING) for word in written) and not any(word.startswith("trainer=") for word in written):
        written = ["trainer=keeping", *written]
    if any(word.startswith("study=") for word in written):
        return [each for word in written for each in _of_rung(word)]
    return written


def _with_tasks(words: Sequence[str]) -> Iterator[str]:
    """Yield the words with short task keys written out, after the option that has these keys."""
    chosen = bool({TASKS, ENCODERS} & set(words))
    for word in words:
        if short := OF_TASKS.match(word):
            if not chosen:
                yield TASKS
            value = word[short.end() :]
            if not short[1] and FILE.fullmatch(value):
                value = f"[{{file: '{value}', kind: classification}}]"
            chosen, word = True, f"evaluation.tasks{short[1] or '.list'}={value}"  # noqa: PLW2901
        yield word


def _with_detection(words: list[str]) -> list[str]:
    """Return the words; add the model and evaluation that `objective=replaced` needs, unless a word chooses others."""
    needed = {"model=": "model=replaced", "evaluation=": ENCODERS} if DETECTING in words else {}
    return [*(word for key, word in needed.items() if not any(each.startswith(key) for each in words)), *words]


def _with_devices(words: list[str]) -> list[str]:
    """Return the words with the option for several devices; drop these keys if all of them are 1."""
    keys = [found for found in map(OF_DEVICES.fullmatch, words) if found]
    divides = any(word in DIVIDING.values() for word in words)
    if not keys or divides:
        return words
    if all(found[2] == "1" for found in keys):
        return [word for word in words if not OF_DEVICES.fullmatch(word)]
    chosen = [DIVIDING.get(word, word) for word in words]
    is_chosen = any(word.startswith("trainer=") for word in words)
    return chosen if is_chosen else [DIVIDING["trainer=cpu"], *chosen]


def _of_rung(word: str) -> list[str]:
    rung = RUNG.fullmatch(word)
    return [f"regime={rung[1]}", f"++study.rung={rung[1]}"] if rung else [word]


def parsed(word: str) -> Override:
    """Return Hydra's parse of a word. Raises InputError that names the word and suggests a readable form."""
    try:
        return PARSER.parse_override(word)
    except HydraException as error:
        raise InputError(f"arguments must be key=value that can be read, got {word}; {_advice(word)}") from error


def _advice(word: str) -> str:
    key, equals, value = word.partition("=")
    if not equals:
        return f"write {key}=... or leave it out"
    if re.fullmatch(r"(choice|range|glob|interval|sort|shuffle|tag)\(.*\)", value):
        return f"write for example {key}=choice(1,2) or {key}=range(0,3)"
    if _reads(f"{key}={re.sub(',+', ',', value).strip(',')}"):
        return "leave no choice between commas empty"
    quoted = f"{key}='{value.strip(QUOTES).replace(QUOTE, ESCAPED)}'"
    if _reads(quoted):
        return f'put the value in quotes, and all of it in those of the shell: "{quoted}"'
    return "bertlab run --help lists the keys"


def _reads(word: str) -> bool:
    try:
        PARSER.parse_override(word)
    except HydraException:
        return False
    return True


def check_once(words: Sequence[str]) -> None:
    """Refuse two values for one key, and two options of one group; an exact repetition is allowed.

    Raises InputError.
    """
    seen = dict[str, str]()
    for word in overrides_in(words):
        override = parsed(word)
        key = override.get_key_element().lstrip("+~")
        if key in seen and word != seen[key]:
            raise InputError(f"{key} must be given once, got {seen[key]} and {word}; leave one of them out")
        seen[key] = word


def check_single(words: Sequence[str], advice: str = "choose one") -> None:
    """Refuse several values for one key in a single run. Raises InputError."""
    for word in overrides_in(words):
        if (override := parsed(word)).is_sweep_override():
            key, value = override.get_key_element(), word.partition("=")[2]
            a_list = f", or write {key}=[{value}] for a list" if "(" not in value else ""
            raise InputError(f"{key} must be one value, got {value}; {advice}{a_list}")


def check_plain(words: Sequence[str]) -> None:
    """Refuse flags where only key=value is allowed. Raises InputError."""
    if options := [word for word in words if word.startswith("-")]:
        raise InputError(f"arguments must be key=value, got {options[0]}; leave it out")


def check_command(words: Sequence[str]) -> None:
    """Refuse a command line of bertlab.run that asks for two things at once. Raises InputError."""
    names = [word.partition("=")[0] for word in words]
    asked = [next(name for name in names if name in forms) for forms in COMMANDS if set(forms) & set(names)]
    if len(asked) > 1:
        raise InputError(f"a command does one thing, got {' and '.join(asked)}; leave one of them out")
    if "--resolve" in names and not {"-c", "--cfg", "-h", "--help"} & set(names):
        raise InputError("--resolve must come with --cfg or --help, got neither; leave it out or add --cfg job")
    studies = any(word.startswith(("study=", "hydra.mode=MULTIRUN")) for word in words)
    if not studies and not set(MULTIRUN) & set(names):
        check_single(words, "add -m to run each of them")
        if not asked and (chosen := next(filter(OF_SWEEPS.match, words), "")):
            raise InputError(
                f"{chosen.partition('=')[0]} is for sweeps and studies, got {chosen}; add -m, or leave it out"
            )


def check_sweep(overrides: Sequence[Override]) -> None:
    """Refuse a sweep over no values, and one with too many jobs. Raises InputError."""
    jobs = 1
    for override in overrides:
        if not override.is_sweep_override():
            continue
        key, _, value = str(override.input_line).partition("=")
        try:
            count = sum(1 for _ in islice(override.sweep_iterator(), MOST_JOBS + 1))
        except (ValueError, HydraException) as error:  # a range whose step is 0
            raise InputError(f"{key} must list values, got {value} ({error}); correct it") from error
        if not count:
            raise InputError(f"{key} must have a value to run, got {value}; name at least one")
        jobs *= count
    if jobs > MOST_JOBS:
        raise InputError(f"a sweep must have at most {MOST_JOBS:,} runs, got more; leave values out")
