"""Numbers, names and tables as text."""

import math

import pytest

from bertlab.report.words import between, count, escape, listing, number, percent, plural, signed
from bertlab.stats.interval import Interval


def test_numbers_have_sensible_digits_thousands_and_a_dash_for_nothing() -> None:
    assert [number(3.14159), number(-1234.5, 1), number(math.nan), number(math.inf)] == ["3.142", "−1,234.5", "–", "–"]
    assert [count(2_249_728.0), count(math.nan), percent(0.6123), percent(math.nan)] == ["2,249,728", "–", "61.2", "–"]


def test_differences_carry_their_sign_and_zero_has_none() -> None:
    assert [signed(0.0214), signed(-0.0214), signed(0.0), signed(-0.0001), signed(0.0001), signed(math.nan)] == [
        "+0.021",
        "−0.021",
        "0.000",
        "0.000",
        "0.000",
        "–",
    ]


def test_an_interval_needs_two_ends() -> None:
    assert between(Interval(0.0, -0.05, 0.0081, 3, 0.1)) == "−0.050 to +0.008"
    assert between(Interval(0.0, math.nan, math.nan, 1, math.nan)) == "–"


@pytest.mark.parametrize(
    ("raw", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("*bold* [x](y)", r"\*bold\* \[x\](y)"),
        ("<script>", r"\<script\>"),
        ("`code`", r"\`code\`"),
        ("_a_ tokens_per_second", r"\_a\_ tokens_per_second"),
        ("two\nlines", "two lines"),
        ("$x$ ~y~ # &amp;", r"\$x\$ \~y\~ \# \&amp;"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_markdown_in_a_name_stays_text(raw: str, escaped: str) -> None:
    assert escape(raw) == escaped


def test_lists_and_plurals_read_as_speech() -> None:
    assert [listing(["a"]), listing("ab"), listing("abc")] == ["a", "a and b", "a, b and c"]
    assert listing([]) == ""
    assert [plural(1, "seed"), plural(3, "seed"), plural(0, "seed")] == ["1 seed", "3 seeds", "0 seeds"]
