from collections.abc import Callable
from typing import Any

import pytest

from bertlab.config.errors import (
    InputError,
    at,
    closed_interval,
    open_interval,
    open_intervals,
    own,
    shares,
    whole_number,
)

KINDS = ("mask", "random", "keep")


def message(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_an_input_error_is_a_value_error() -> None:
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize("value", [0.15, 1e-9, 0.999])
def test_a_value_inside_an_open_interval_passes(value: float) -> None:
    assert open_interval("mask.rate", value, 0, 1) == value


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.5, 1.5, float("nan"), float("inf"), "0.15", None, True, [0.15]])
def test_what_does_not_lie_inside_an_open_interval_is_named(value: object) -> None:
    line = message(open_interval, "mask.rate", value, 0, 1)
    assert line == f"mask.rate must lie in (0, 1), got {value}; choose a number inside"


def test_a_list_of_numbers_holds_numbers_inside_and_may_be_empty() -> None:
    assert open_intervals("evaluation.grid", [0.3, 0.5], 0, 1) == [0.3, 0.5]
    assert open_intervals("evaluation.grid", (), 0, 1) == []
    assert message(open_intervals, "evaluation.grid", [0.3, 1.5], 0, 1).startswith(
        "evaluation.grid must lie in (0, 1), "
    )


@pytest.mark.parametrize("values", [0.3, None, "0.3", {"a": 0.3}])
def test_the_error_for_a_value_that_is_no_list_asks_for_a_list(values: object) -> None:
    line = message(open_intervals, "evaluation.grid", values, 0, 1)
    assert line == f"evaluation.grid must be a list of numbers in (0, 1), got {values}; write [] or [0.3,0.5]"


def test_a_closed_interval_holds_its_ends() -> None:
    assert [closed_interval("share", value, 0, 0.5) for value in (0, 0.25, 0.5)] == [0.0, 0.25, 0.5]
    for value in (-1e-9, 0.51, float("nan"), "half", None, False):
        line = message(closed_interval, "evaluation.share", value, 0, 0.5)
        assert line == f"evaluation.share must lie in [0, 0.5], got {value}; choose a number inside"


@pytest.mark.parametrize("value", [7, 8, 10**12])
def test_whole_numbers_of_at_least_the_bound_pass(value: int) -> None:
    assert whole_number("batch.size", value, 7) == value


@pytest.mark.parametrize("value", [6, -7, 7.0, 7.5, "7", None, True])
def test_what_is_no_whole_number_or_too_small_is_named(value: object) -> None:
    line = message(whole_number, "batch.size", value, 7)
    assert line == f"batch.size must be a whole number of at least 7, got {value}; choose for example 7"


def test_a_whole_number_may_have_an_upper_bound() -> None:
    assert whole_number("trainer.threads", 1024, 1, 1024) == 1024
    line = message(whole_number, "trainer.threads", 100_000, 1, 1024)
    assert line == "trainer.threads must be at most 1024, got 100000; choose a smaller one"
    assert message(whole_number, "seed", 10**22, 0).endswith("got a number of 23 digits; choose a smaller one")


def test_true_is_no_whole_number() -> None:
    assert message(whole_number, "seed", True, 0).startswith("seed must be a whole number of at least 0, got True; ")


def test_the_example_of_a_whole_number_is_one_at_least() -> None:
    assert message(whole_number, "seed", -1, 0).endswith("; choose for example 1")


@pytest.mark.parametrize("values", [[0.8, 0.1, 0.1], (1, 0, 0), [1 / 3, 1 / 3, 1 / 3]])
def test_shares_that_sum_to_one_pass(values: list[float]) -> None:
    assert shares("mask.split", values, KINDS) == tuple(values)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([0.5, 0.5], "mask.split must hold 3 shares (mask, random, keep), got [0.5, 0.5]; give one each"),
        (0.8, "mask.split must hold 3 shares (mask, random, keep), got 0.8; give one each"),
        ("abc", "mask.split must hold 3 shares (mask, random, keep), got abc; give one each"),
        ([0.8, -0.1, 0.3], "mask.split (random) must lie in [0, 1], got -0.1; choose a number inside"),
        ([0.8, 0.1, "x"], "mask.split (keep) must lie in [0, 1], got x; choose a number inside"),
        (
            [0.8, 0.1, 0.2],
            "mask.split (mask, random, keep) must sum to 1, got [0.8, 0.1, 0.2], sum 1.1; correct one share",
        ),
        ([0, 0, 0], "mask.split (mask, random, keep) must sum to 1, got [0, 0, 0], sum 0; correct one share"),
    ],
)
def test_other_shares_are_named(values: object, line: str) -> None:
    assert message(shares, "mask.split", values, KINDS) == line


def test_a_key_has_the_place_of_its_part_and_the_usual_one_by_default() -> None:
    def refuse() -> None:
        raise InputError(f"{own('files', 'data')} must be there; see {own('rate')} and {own('column', 'data')}")

    def refuse_below() -> None:
        with at("evaluation"), at("text"):
            refuse()

    assert message(refuse) == "data.files must be there; see rate and data.column"
    assert message(refuse_below) == (
        "evaluation.text.files must be there; see evaluation.text.rate and evaluation.text.column"
    )
