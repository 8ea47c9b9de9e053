"""Errors for wrong input: one line with the key, the bound, the value and the next step.

A part does not know its place in the configuration: `mask.token` may be `mask`, or `mask.corruption` of another policy.
It names its keys with `own("rate")`. The code that builds or calls the part adds the place: `with at("mask"):`. If a
group is used in only one place, its parts give it: `own("files", "data")`. This default is used outside `at`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import nan
from numbers import Real
from typing import Any

LARGEST = 2**40  # limit of whole numbers: larger than any useful count; products of it do not overflow
OWN = "\0"  # marks a key of the part that raises; a command line cannot contain it
USUAL = "\1"  # separates the default place of a part from its key
OWN_OPTION = re.compile(rf"([\w/]+)@{OWN}([\w.]*)(?==)")


class InputError(ValueError):
    """The user's input cannot be used; the message is the one line to print (exit code 2)."""

    def __str__(self) -> str:
        """Return the message with the known places added to the keys."""
        return OWN_OPTION.sub(_option, super().__str__()).replace(OWN, "").replace(USUAL, ".")

    def at(self, place: str) -> "InputError":
        """Return the error with `place` added to the part's own keys."""
        unplaced = re.sub(rf"{OWN}\w+{USUAL}", OWN, super().__str__())
        below = re.sub(rf"{OWN}(?=\w)", f"{OWN}{place}.", unplaced)
        return type(self)(re.sub(rf"{OWN}(?!\w)", f"{OWN}{place}", below))


def own(key: str = "", usual: str = "") -> str:
    """Return a marked key of the part that raises, or the part itself, for use in its messages.

    `usual` is the default place of the part.
    """
    return f"{OWN}{usual}{USUAL}{key}" if usual else f"{OWN}{key}"


def own_option(group: str, option: str) -> str:
    """Return the words that choose another option of `group` for the raising part: `pairs=none`, `pairs@a.b=none`."""
    return f"{group}@{OWN}={option}"


def _option(found: re.Match[str]) -> str:
    group, place = found.groups()
    return group if place in ("", group.replace("/", ".")) else f"{group}@{place}"


@contextmanager
def at(place: str) -> Iterator[None]:
    """Add `place` to the keys in error messages of the part that the block builds or calls."""
    try:
        yield
    except InputError as error:
        raise error.at(place) from error


def true_or_false(key: str, value: object) -> bool:
    """Return `value` if it is true or false. Raises InputError."""
    if isinstance(value, bool):
        return value
    raise InputError(f"{own(key)} must be true or false, got {value}; choose one")


def one_of(key: str, value: object, known: Sequence[str | bool | None]) -> Any:
    """Return `value` if it is one of the known values. Raises InputError."""
    if any(type(value) is type(each) and value == each for each in known):  # in Python 1 == True, so compare types too
        return value
    words = [each if isinstance(each, str) else str(each).lower().replace("none", "null") for each in known]
    raise InputError(f"{own(key)} must be {', '.join(words[:-1])} or {words[-1]}, got {value}; choose one of them")


def open_interval(key: str, value: object, low: float, high: float) -> float:
    """Return `value` if it is a number in (low, high). Raises InputError."""
    if low < (number := _real(value)) < high:
        return number
    raise InputError(f"{own(key)} must lie in ({low:g}, {high:g}), got {value}; choose a number inside")


def open_intervals(key: str, values: object, low: float, high: float) -> list[float]:
    """Return `values` if they are a list of numbers in (low, high); it may be empty. Raises InputError."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(
            f"{own(key)} must be a list of numbers in ({low:g}, {high:g}), got {values}; write [] or [0.3,0.5]"
        )
    return [open_interval(key, value, low, high) for value in values]


def closed_interval(key: str, value: object, low: float, high: float) -> float:
    """Return `value` if it is a number in [low, high]. Raises InputError."""
    if low <= (number := _real(value)) <= high:
        return number
    raise InputError(f"{own(key)} must lie in [{low:g}, {high:g}], got {value}; choose a number inside")


def _real(value: object) -> float:
    """Return a number as a float; nan, which is in no interval, for anything else."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return nan
    try:
        return float(value)
    except OverflowError:
        return nan


def whole_number(key: str, value: object, low: int, high: int = LARGEST) -> int:
    """Return `value` if it is a whole number in [low, high]. Raises InputError."""
    if isinstance(value, int) and value > high:
        digits = len(str(value))
        given = value if digits <= len(str(LARGEST)) else f"a number of {digits} digits"
        raise InputError(f"{own(key)} must be at most {high}, got {given}; choose a smaller one")
    if isinstance(value, int) and not isinstance(value, bool) and value >= low:
        return value
    raise InputError(
        f"{own(key)} must be a whole number of at least {low}, got {value}; choose for example {max(low, 1)}"
    )


def whole_numbers(key: str, values: object, low: int) -> list[int]:
    """Return `values` if they are a list of whole numbers of at least `low`; it may be empty. Raises InputError."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(
            f"{own(key)} must be a list of whole numbers of at least {low}, got {values}; write [] or [{low}]"
        )
    return [whole_number(key, value, low) for value in values]


def shares(key: str, values: object, names: Sequence[str]) -> tuple[float, ...]:
    """Return `values` if they are one non-negative share per name with sum 1. Raises InputError."""
    wanted = ", ".join(names)
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != len(names):
        raise InputError(f"{own(key)} must hold {len(names)} shares ({wanted}), got {values}; give one each")
    numbers = tuple(closed_interval(f"{key} ({name})", value, 0, 1) for name, value in zip(names, values, strict=True))
    if abs(sum(numbers) - 1) > 1e-9:
        listed = ", ".join(f"{number:g}" for number in numbers)
        raise InputError(
            f"{own(key)} ({wanted}) must sum to 1, got [{listed}], sum {sum(numbers):g}; correct one share"
        )
    return numbers
