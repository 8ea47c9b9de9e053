"""Formats of numbers and names for readers: digits, signs, thousands, and safe markdown."""

import math
import re
from collections.abc import Iterable, Sequence

from bertlab.stats.interval import Interval

DASH = "–"
MINUS = "−"
# markdown ignores an underscore inside a word, so tokens_per_second needs no escape
SPECIAL = re.compile(r"[\\`*\[\]<>|~$&#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def escape(text: str) -> str:
    """Return the text on one line, with all markdown characters escaped."""
    return SPECIAL.sub(lambda match: "\\" + match[0], " ".join(text.split()))


def unescaped(markdown: str) -> str:
    """The inverse of `escape`, except for line breaks."""
    return re.sub(r"\\(.)", r"\1", markdown)


def number(value: float, decimals: int = 3) -> str:
    """Write a value with fixed decimals and separated thousands; a dash if it is not finite."""
    if not math.isfinite(value):
        return DASH
    text = f"{abs(value):,.{decimals}f}"
    return text if value >= 0 or not text.strip("0.,") else MINUS + text


def signed(value: float, decimals: int = 3) -> str:
    """Write a difference with its sign; if it rounds to zero, without."""
    text = number(value, decimals)
    return "+" + text if value > 0 and text.strip("0.,") and text != DASH else text


def percent(share: float) -> str:
    """Write a share in per cent with one decimal, without the sign (it is in the header)."""
    return number(100 * share, 1)


def count(value: float) -> str:
    """Write a whole number with separated thousands."""
    return number(value, 0)


def between(interval: Interval, decimals: int = 3) -> str:
    """Write the two ends of an interval; a dash without one."""
    if not math.isfinite(interval.low):
        return DASH
    return f"{signed(interval.low, decimals)} to {signed(interval.high, decimals)}"


def listing(items: Iterable[str], last: str = "and") -> str:
    """Join a list: a, b and c. `last`: the word before the last item."""
    *head, end = ["", *items]
    return f"{', '.join(head[1:])} {last} {end}" if head[1:] else end


def some(items: Sequence[str], most: int, noun: str = "arm") -> list[str]:
    """Return the items; of more than `most` only the first ones, and how many others there are."""
    others = len(items) - most
    return [*items[:most], plural(others, f"other {noun}")] if others > 0 else [*items]


def plural(n: int, noun: str) -> str:
    """Write a count with its noun: 1 seed, 3 seeds."""
    return f"{count(n)} {noun}" if n == 1 else f"{count(n)} {noun}s"


def sentence(words: str) -> str:
    """Write some words as a sentence."""
    return f"{words[0].upper()}{words[1:]}."
