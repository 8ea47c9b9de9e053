"""The table of families in docs/own.md says what the program gives to the parts that it makes and calls."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from bertlab.config.compose import CONF

PAGE = Path(__file__).parents[1] / "docs" / "own.md"
ROW = re.compile(r"^\| `([\w/]+)` \| (yes)? *\| (.*?) *\| (.*) \|$", re.MULTILINE)
ROWS = {group: (partial, made, called) for group, partial, made, called in ROW.findall(PAGE.read_text("utf-8"))}
CLOSED = {"evaluation", "evaluation/tasks", "model", "regime", "tracking", "trainer"}  # no families of parts

UNNAMED = ("(output, batch)", "(_)")  # of parts that ignore step and total, or the sentences


def parts_of(group: str) -> Iterator[tuple[str, bool, Any]]:
    """Yield the options of a group that name a class or function: name, whether partial, and that object."""
    for path in sorted((CONF / group).glob("*.yaml")):
        content = with_start(path)
        part = content if "_target_" in content else content.get(group, {})
        if "_target_" in part:
            module, _, name = part["_target_"].rpartition(".")
            yield path.stem, bool(part.get("_partial_")), getattr(import_module(module), name)


def with_start(path: Path) -> dict[str, Any]:
    """Return an option's content with that of the option in its folder from which it starts."""
    content = yaml.safe_load(path.read_text("utf-8"))
    starts = [name for name in content.get("defaults", []) if isinstance(name, str) and name != "_self_"]
    return {**(with_start(path.with_stem(starts[0])) if starts else {}), **content}


def arguments(call: Any) -> str:
    """Return the arguments that are given by position, as in the table."""
    names = [one.name for one in inspect.signature(call).parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    return f"({', '.join(name for name in names if name != 'self')})"


def test_every_family_has_a_row() -> None:
    groups = {path.parent.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")} - {"."}
    assert {group for group in groups if not group.startswith("hydra")} - CLOSED == set(ROWS)


@pytest.mark.parametrize("group", ROWS)
def test_every_option_is_made_and_called_as_its_row_says(group: str) -> None:
    partial, made, called = ROWS[group]
    methods = re.findall(r"`(\w+)(\(.*?\))`", called)
    function = re.search(r"a function `(\(.*?\))`", called)
    for name, is_partial, part in parts_of(group):
        assert is_partial == (partial == "yes"), name
        if name == "none" and not inspect.isclass(part) and group in ("model/attention", "model/feed_forward"):
            continue  # leaves its part out
        if function:
            assert arguments(part) == function[1], name
            continue
        if is_partial:
            assert f"`{arguments(part)}`" == made, name
        for method, given in methods if inspect.isclass(part) else []:
            known = arguments(getattr(part, method))
            assert known in (given, *UNNAMED), (name, method)
