"""Grouping into settings: which run counts, which setting is the reference, what a difference is taken over."""

import dataclasses
import math
from collections.abc import Callable

import pytest

from bertlab.report.run_table import RunTable, canonical
from bertlab.report.settings import Sweep, difference, sweep_of

LOSS = "metrics.eval/mlm_loss"


def sweep(table: RunTable, **facts: str) -> Sweep:
    return sweep_of(canonical(dataclasses.replace(table, facts={**table.facts, **facts})))


def test_the_tagged_baseline_is_the_reference_else_the_first(make_table: Callable[..., RunTable]) -> None:
    rates = {"mask.rate": ["0.3", "0.15", "0.05"]}
    assert sweep(make_table(rates, baseline=["0.15"])).reference.values == ("0.15",)
    assert sweep(make_table(rates)).reference.values == ("0.05",)


def test_a_difference_is_the_mean_over_shared_seeds(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1", "0.15"]}, seeds=(0, 1, 2), baseline=["0.1"])
    losses = dict(zip(table.runs["run_id"], [3.0, 3.1, 3.5, 2.9, 3.2, 9.9], strict=True))
    runs = table.runs.assign(**{LOSS: table.runs["run_id"].map(losses)})
    runs.loc[runs["run_id"] == "r00s2", "status"] = "FAILED"  # the reference lacks seed 2
    first, second = sweep(dataclasses.replace(table, runs=runs)).settings
    interval = difference(second, first)
    assert interval.n == 2
    assert interval.mean == pytest.approx((-0.1 + 0.1) / 2)
    assert second.mean() == pytest.approx((2.9 + 3.2 + 9.9) / 3)


def test_repeats_of_a_seed_count_once(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1"]}, seeds=(0, 1))
    runs = table.runs.assign(**{"params.seed": "0", LOSS: [3.0, 3.2]})
    (setting,) = sweep(dataclasses.replace(table, runs=runs)).settings
    assert setting.by_seed("eval/mlm_loss").to_dict() == pytest.approx({"0": 3.1})


@pytest.mark.parametrize(
    ("status", "loss", "curve", "outcome"),
    [
        ("FINISHED", 3.0, 3.0, "finished"),
        ("FINISHED", math.inf, 3.0, "diverged"),
        ("FINISHED", math.nan, math.nan, "diverged"),
        ("FINISHED", math.nan, 3.0, "no final loss"),
        ("FAILED", math.nan, math.inf, "diverged"),
        ("FAILED", 3.0, 3.0, "failed"),
        ("KILLED", math.nan, 3.0, "killed"),
        ("RUNNING", 3.0, 3.0, "still running"),
    ],
)
def test_only_a_finished_run_with_a_finite_loss_counts(
    make_table: Callable[..., RunTable], status: str, loss: float, curve: float, outcome: str
) -> None:
    table = make_table({"mask.rate": ["0.1"]}, seeds=(0,))
    curves = table.curves.assign(value=table.curves["value"].where(table.curves["metric"] != "train/mlm_loss", curve))
    grouped = sweep(RunTable(table.runs.assign(**{"status": status, LOSS: loss}), curves, table.facts))
    assert grouped.runs["outcome"].tolist() == [outcome]
    assert len(grouped.counted) == (outcome == "finished")
    assert len(grouped.lost) == (outcome != "finished")


def test_without_declared_factors_those_that_vary_are_taken(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1", "0.15"], "model.norm": ["layer"]})
    facts = {key: value for key, value in table.facts.items() if key != "factors"}
    runs = table.runs.assign(**{"params.streams.seed": table.runs["params.seed"]})
    assert sweep_of(canonical(RunTable(runs, table.curves, facts))).factors == ("mask.rate",)


def test_a_constant_factor_makes_no_settings_of_its_own(make_table: Callable[..., RunTable]) -> None:
    grouped = sweep(make_table({"mask.rate": ["0.1", "0.15"], "model.norm": ["layer"]}))
    assert (grouped.factors, grouped.constants) == (("mask.rate",), ("model.norm",))
    assert [setting.label for setting in grouped.settings] == ["mask.rate=0.1", "mask.rate=0.15"]
