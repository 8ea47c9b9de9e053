"""Curves: every value of the points once, and bit for bit the same after writing and reading a file."""

import math

import numpy as np
import pytest

from bertlab.tracking.metrics import Point
from bertlab.tracking.runs_table import Curves, curves_of, joined, packed, unpacked

POINTS = [
    Point(10, 0, {"perf/tokens": 1000.0, "perf/flops": 5.0, "train/loss": 0.5, "train/lr": 1e-4}),
    Point(20, 0, {"perf/tokens": 2000.0, "perf/flops": 9.0, "train/loss": 0.25, "train/lr": 2e-4}),
    Point(20, 0, {"eval/mlm_loss": 7.0}),
    Point(30, 0, {"eval/mlm_loss": 6.0}),
]


def rows(curves: Curves) -> list[tuple[object, ...]]:
    return sorted(zip(*(column.tolist() for column in curves), strict=True), key=str)


def test_curves_have_a_row_each_value_with_the_tokens_of_its_step() -> None:
    assert rows(curves_of(POINTS[:3])) == [
        ("eval/mlm_loss", 20, 2000, 7.0),
        ("train/loss", 10, 1000, 0.5),
        ("train/loss", 20, 2000, 0.25),
        ("train/lr", 10, 1000, 1e-4),
        ("train/lr", 20, 2000, 2e-4),
    ]


def test_a_step_whose_tokens_are_unknown_has_none() -> None:
    (curve,) = rows(curves_of(POINTS[3:]))
    assert curve[:2] == ("eval/mlm_loss", 30)
    assert math.isnan(float(str(curve[2])))


def test_joined_curves_say_whose_they_are() -> None:
    frame = joined({"one": curves_of(POINTS[2:3]), "none": curves_of([]), "other": curves_of(POINTS[:1])})
    assert frame["run_id"].tolist() == ["one", "other", "other"]
    assert frame["metric"].tolist() == ["eval/mlm_loss", "train/loss", "train/lr"]
    assert frame["step"].tolist() == [20, 10, 10]
    assert frame["value"].tolist() == [7.0, 0.5, 1e-4]


@pytest.mark.parametrize("times", [0, 1, 20_000])
def test_a_file_of_curves_holds_every_bit(times: int) -> None:
    odd = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, 1 / 3]
    points = [Point(step, 0, {"train/loss": value, "perf/tokens": value}) for step, value in enumerate(odd * times)]
    curves = curves_of(points)
    again = unpacked(packed(curves))
    assert len(again.value) == len(odd) * times
    assert again.metric.tolist() == curves.metric.tolist()
    for column, before in zip(again[1:], curves[1:], strict=True):
        assert np.array_equal(column.view(np.int64), before.view(np.int64))


def test_equal_curves_make_equal_files() -> None:
    assert packed(curves_of(POINTS)) == packed(curves_of(list(POINTS)))
