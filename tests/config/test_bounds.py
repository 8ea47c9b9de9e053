"""Bounds: an error names every key of every part with its full place, before anything heavy is imported."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.bounds import BOUNDS, RUN, bounded
from bertlab.config.compose import CONF, load, resolved
from bertlab.config.errors import InputError
from tests.command import exit_code
from tests.config.absurd import VALUE, chosen, messages, part, said

PROGRAM = Path(__file__).with_name("absurd.py")
OPTION = re.compile(r"\b([a-z_]+(?:/[a-z_]+)?)(?:@([a-z_.]+))?=([a-z_]+)")
KEY = re.compile(r"(?<![\w.@/])[a-z_]+(?:\.[a-z_]+)+(?![\w/=(])")


@cache
def said_of_absurd_values() -> Mapping[str, Any]:
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@cache
def known_keys(words: tuple[str, ...]) -> frozenset[str]:
    (found,) = {tuple(names) for chosen, names in said_of_absurd_values()["keys"] if tuple(chosen) == words}
    return frozenset(found)


@pytest.mark.slow
def test_every_value_is_refused_by_its_key_with_its_bound() -> None:
    found = said_of_absurd_values()["messages"]
    assert len(found) > 200
    for words, key, line in found:
        assert line, f"{words}: {key}={VALUE} is not refused"
        assert re.match(rf"{re.escape(key)} must (lie in|be|hold|list) .+, got {VALUE}; .+", line), (words, line)


@pytest.mark.slow
def test_all_of_them_are_refused_without_torch() -> None:
    assert said_of_absurd_values()["torch"] is False


FILES = (".json", ".txt")  # names of files look like keys: tokenizer.json


@pytest.mark.slow
def test_advice_names_keys_and_options_that_exist() -> None:
    for words, _, line in said_of_absurd_values()["messages"]:
        check_advice(tuple(words), line)


def check_advice(words: tuple[str, ...], line: str) -> None:
    """Fail if a line names a key or an option that the configuration of the words does not have."""
    for group, place, option in OPTION.findall(line):
        if (CONF / group).is_dir():
            assert (CONF / group / f"{option}.yaml").is_file(), line
            assert not place or place in known_keys(words), line
    streams = "redraw must be" in line  # streams of random numbers have dots in their names too
    for key in () if streams else KEY.findall(line):
        if key.partition(".")[0] in known_keys(()) and not key.endswith(FILES):
            assert key in known_keys(words), line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["mask=noise", "mask.corruption.rate=2"], "mask.corruption.rate must lie in (0, 1), got 2; choose a number"),
        (["mask=apart", "mask.corruption.rate=abc"], "mask.corruption.rate must lie in (0, 1), got abc; choose a numb"),
        (["evaluation.grid=[0.3,2]"], "evaluation.grid must lie in (0, 1), got 2; choose a number inside"),
        (["evaluation.text.shortest=no"], "evaluation.text.shortest must be a whole number of at least 1, got no; "),
        (["evaluation.pairs.random=7"], "evaluation.pairs.random must lie in [0, 1], got 7; choose a number inside"),
        (["model.head_width=wide"], "model.head_width must be a whole number of at least 1, got wide; choose for "),
        (["model.width=64", "model.heads=3"], "model.heads must divide model.width 64, got 3; choose a divisor"),
        (["batch.size=hello"], "batch.size must be a whole number of at least 1, got hello; choose for example 1"),
        (["budget.tokens=3"], "budget.tokens must pay for one batch of 1024 tokens, got 3; raise it"),
        (["data=text", "data.files=gone.txt"], "data.files must name files that are there, got 'gone.txt', which "),
        (
            ["mask=static", "mask@mask.policy=apart", "mask.policy.prediction_rate=0.9"],
            "mask.policy.prediction_rate must be at most mask.policy.corruption.rate, 0.3, got 0.9; lower it, or use "
            "mask@mask.policy=all_tokens to predict what is not corrupted",
        ),
        (
            ["mask=noise", "mask@mask.corruption=static", "~mask.corruption.split"],
            "mask.corruption must choose tokens at a rate, got Static; choose mask@mask.corruption=token, whole_word "
            "or span",
        ),
    ],
)
def test_what_is_refused_at_once_on_the_command_line(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"bertlab: {line}")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", RUN)
def test_a_key_of_no_part_is_refused_as_its_bounds_say(key: str) -> None:
    config, rule = resolved(load([])), RUN[key]
    for value in (VALUE, 0.5, True, "word", 0, 1, 7, 8):
        try:
            rule(key, value)
        except InputError:
            changed = copy.deepcopy(config)
            *above, name = key.split(".")
            part(changed, above)[name] = value
            assert (said(changed) or "").startswith(f"{key} must "), (key, value)


def test_a_key_within_its_bounds_passes() -> None:
    assert said(resolved(load([]))) is None
    assert next(messages(chosen()))[2], "the program's cases are those of this test"


def test_a_part_that_is_built_from_python_is_held_to_the_same_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(key: str, value: object) -> None:
        raise InputError(f"{key} is {value}")

    @bounded
    def part(size: int, *, depth: int) -> int:
        return size + depth

    assert part(2, depth=3) == 5
    monkeypatch.setattr(
        "bertlab.config.bounds.BOUNDS", {**BOUNDS, f"{part.__module__}.{part.__qualname__}": {"depth": rule}}
    )
    with pytest.raises(InputError, match="depth is 3"):
        part(2, depth=3)
