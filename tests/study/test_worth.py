"""What a margin in tokens is worth: known slopes, known shorter runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bertlab.study.judge import judge
from bertlab.study.record import EXPLORATION, HARMFUL, Record, canonical
from bertlab.study.regime import FrozenMargin
from bertlab.study.worth import slope_part, worth_of

MakeRecord = Callable[..., Record]
TOKENS = {"two": 2_000_000.0, HARMFUL: 1_000_000.0}


def with_worth(make_record: MakeRecord, part: float = 0.75) -> Record:
    """Make a record whose margin is 25 % of the tokens at a slope of .46, and whose harmful runs had half of them."""
    node: dict[str, Any] = {"margin": {"tokens": 0.25}}
    record = make_record(node=node, effect={"harmful": 0.46 * np.log(2)})
    runs = record.runs.assign(**{"perf/tokens": record.runs["arm"].map(TOKENS).fillna(2_000_000.0)})
    frozen = FrozenMargin(0.46 * float(np.log(1.25)), -0.46, seeds=3, part=part)
    return canonical(replace(record, runs=runs, frozen=frozen))


def test_a_straight_curve_is_worth_what_was_declared_by_every_measure(make_record: MakeRecord) -> None:
    worth = worth_of(judge(with_worth(make_record)))
    assert worth is not None
    assert worth.part == 0.75
    assert worth.measured.delta == pytest.approx(0.46 * np.log(1.25), rel=1e-4)
    assert worth.by_end == pytest.approx(0.25, rel=1e-3)
    assert worth.by_shorter == pytest.approx(0.25, rel=1e-3)
    assert (worth.points, worth.shorter) == (3, 1_000_000)


def test_a_curve_that_flattens_makes_the_margin_worth_more_at_its_end(make_record: MakeRecord) -> None:
    record = with_worth(make_record)
    curves = record.curves.copy()
    own = curves["run_id"].str.startswith(EXPLORATION) & (curves["tokens"] >= 1_150_000)
    last = curves[own].groupby("run_id")["value"].transform("min")
    curves.loc[own, "value"] = last + (curves.loc[own, "value"] - last) / 2  # half the slope there
    worth = worth_of(judge(canonical(replace(record, curves=curves))))
    assert worth is not None
    assert worth.by_end == pytest.approx(1.25**2 - 1, rel=1e-3)


def test_a_margin_in_nats_is_worth_nothing_in_tokens(make_record: MakeRecord) -> None:
    assert worth_of(judge(make_record())) is None


def test_the_part_that_a_slope_was_taken_over_is_that_of_its_record(make_record: MakeRecord) -> None:
    worth = worth_of(judge(with_worth(make_record, 0.5)))
    assert worth is not None
    assert (worth.part, worth.measured.points) == (0.5, 3)


@pytest.mark.parametrize(
    ("tokens", "part"), [([1, 2, 4, 8, 16], (0.75, 3)), ([4, 8, 9, 12, 16], (0.5, 4)), ([16], (0.75, 3))]
)
def test_a_slope_is_taken_over_the_last_half_where_it_has_four_evaluations(
    tokens: list[float], part: tuple[float, int]
) -> None:
    assert slope_part(tokens) == part
