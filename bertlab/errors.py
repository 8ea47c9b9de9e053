"""What a person sees when the input is at fault: one line with the key, the bound, the value and the next step."""

from collections.abc import Sequence
from math import nan
from numbers import Real

LARGEST = 2**40  # of whole numbers: more than any count here means, and nothing that is multiplied by it overflows


class InputError(ValueError):
    """The user's input cannot be used; the message is the one line to print (exit code 2)."""


def open_interval(key: str, value: object, low: float, high: float) -> float:
    """Return `value` when it is a number in (low, high). Raises InputError."""
    if low < (number := _real(value)) < high:
        return number
    raise InputError(f"{key} must lie in ({low:g}, {high:g}), got {value}; choose a number inside")


def open_intervals(key: str, values: object, low: float, high: float) -> list[float]:
    """Return `values` when they are a list of numbers in (low, high), or none. Raises InputError."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(f"{key} must be a list of numbers in ({low:g}, {high:g}), got {values}; write [] or [0.3,0.5]")
    return [open_interval(key, value, low, high) for value in values]


def closed_interval(key: str, value: object, low: float, high: float) -> float:
    """Return `value` when it is a number in [low, high]. Raises InputError."""
    if low <= (number := _real(value)) <= high:
        return number
    raise InputError(f"{key} must lie in [{low:g}, {high:g}], got {value}; choose a number inside")


def _real(value: object) -> float:
    """Return a number as a float; nan, which lies in no interval, for anything else."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return nan
    try:
        return float(value)
    except OverflowError:
        return nan


def whole_number(key: str, value: object, low: int) -> int:
    """Return `value` when it is a whole number of at least `low`, and no larger than `LARGEST`. Raises InputError."""
    if isinstance(value, int) and value > LARGEST:
        raise InputError(
            f"{key} must be at most {LARGEST}, got a number of {len(str(value))} digits; choose a smaller one"
        )
    if isinstance(value, int) and not isinstance(value, bool) and value >= low:
        return value
    raise InputError(f"{key} must be a whole number of at least {low}, got {value}; choose for example {max(low, 1)}")


def whole_numbers(key: str, values: object, low: int) -> list[int]:
    """Return `values` when they are a list of whole numbers of at least `low`, or none. Raises InputError."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(f"{key} must be a list of whole numbers of at least {low}, got {values}; write [] or [{low}]")
    return [whole_number(key, value, low) for value in values]


def shares(key: str, values: object, names: Sequence[str]) -> tuple[float, ...]:
    """Return `values` when they are one share per name, none negative, that sum to 1. Raises InputError."""
    wanted = ", ".join(names)
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != len(names):
        raise InputError(f"{key} must hold {len(names)} shares ({wanted}), got {values}; give one each")
    numbers = tuple(closed_interval(f"{key} ({name})", value, 0, 1) for name, value in zip(names, values, strict=True))
    if abs(sum(numbers) - 1) > 1e-9:
        listed = ", ".join(f"{number:g}" for number in numbers)
        raise InputError(f"{key} ({wanted}) must sum to 1, got [{listed}], sum {sum(numbers):g}; correct one share")
    return numbers
