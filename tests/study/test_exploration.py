"""A sweep as a record: which run counts, which setting is the baseline, what are the factors, what is refused."""

import math
from collections.abc import Callable

import pandas as pd
import pytest

from bertlab.config.errors import InputError
from bertlab.report.study.sweep import result_of
from bertlab.study.exploration import declared_factors, explored, natural
from bertlab.study.judge import judge
from tests.report.conftest import Runs, build

LOSS = "metrics.eval/mlm_loss"


def changed(table: Runs, **columns: object) -> Runs:
    return table._replace(runs=table.runs.assign(**columns))


def test_arms_are_in_the_order_of_values_and_the_tagged_baseline_is_the_reference() -> None:
    rates = {"mask.rate": ["0.3", "0.15", "1"]}
    assert list(explored(*build(rates)).study.arms) == ["mask.rate=0.15", "mask.rate=0.3", "mask.rate=1"]
    assert explored(*build(rates)).study.baseline == "mask.rate=0.15"
    assert explored(*build(rates, baseline=["0.3"])).study.baseline == "mask.rate=0.3"


def test_numbers_sort_before_words() -> None:
    assert sorted(["none", "10", "1e-3", "nan", "9"], key=natural) == ["1e-3", "9", "10", "nan", "none"]


def test_a_repeat_of_a_seed_is_left_out_with_a_note() -> None:
    record = explored(*changed(build({"mask.rate": ["0.1"]}, seeds=(0, 1)), **{"params.seed": "0"}))
    assert record.runs["run_id"].tolist() == ["r00s0"]
    assert record.facts["left_out"] == "seed 0, repeated"


@pytest.mark.parametrize(
    ("status", "loss", "curve", "ended"),
    [
        ("FINISHED", 3.0, 3.0, ""),
        ("FINISHED", math.inf, 3.0, "diverged"),
        ("FINISHED", -1.7976931348623157e308, 3.0, "diverged"),  # as a store keeps infinity
        ("FINISHED", math.nan, math.nan, "diverged"),
        ("FINISHED", math.nan, 3.0, "no final loss"),
        ("FAILED", math.nan, math.inf, "diverged"),
        ("FAILED", 3.0, 3.0, "failed"),
        ("KILLED", math.nan, 3.0, "killed"),
        ("RUNNING", 3.0, 3.0, "still running"),
    ],
)
def test_only_a_finished_run_with_a_finite_loss_counts(status: str, loss: float, curve: float, ended: str) -> None:
    table = build({"mask.rate": ["0.1"]}, seeds=(0,))
    curves = table.curves.assign(value=table.curves["value"].where(table.curves["metric"] != "train/mlm_loss", curve))
    record = explored(*changed(table, **{"status": status, LOSS: loss})._replace(curves=curves))
    assert record.runs["diverged"].tolist() == ([ended == "diverged"] if ended in ("", "diverged") else [])
    assert record.facts.get("left_out", "").rpartition(", ")[2] == (ended if ended != "diverged" else "")


def test_runs_without_a_loss_of_masked_tokens_are_compared_by_another_loss_under_its_name() -> None:
    table = build({"mask.rate": ["0.1"]}, seeds=(0, 1))
    runs = table.runs.drop(columns=[name for name in table.runs if "eval/mlm_" in name])
    assert "metrics.eval/pair_loss" in runs
    record = explored(*table._replace(runs=runs))
    assert record.study.outcome == "eval/pair_loss"
    assert len(record.runs) == 2
    assert result_of(judge(record))[0].startswith("The final loss on held-out pairs of segments is ")


def test_without_declared_factors_those_that_vary_are_taken() -> None:
    table = build({"mask.rate": ["0.1", "0.15"], "model.norm": ["layer"]})
    copied = changed(table, **{"params.streams.seed": table.runs["params.seed"]})._replace(factors=None)
    assert explored(*copied).study.factors == ("mask.rate",)


def test_a_key_that_follows_from_the_option_of_its_part_is_no_factor() -> None:
    runs = build({"model": ["nano", "tiny"], "model.heads": ["2", "4"]}).runs
    layers = runs["params.model"].map({"nano": "2", "tiny": "4"})
    assert declared_factors(runs.assign(**{"params.model.layers": layers})) == ["model", "model.heads"]


def test_a_factor_of_numbers_alone_is_a_trend_however_it_is_spelt() -> None:
    trend = explored(*build({"optimizer.lr": ["1e-4", "3e-4", "1e-3"]})).study.trend
    assert trend is not None
    assert (trend.factor, trend.scale, list(trend.doses.values())) == ("optimizer.lr", "log", [1e-4, 3e-4, 1e-3])
    assert explored(*build({"optimizer.lr": ["1e-4", "none", "1e-3"]})).study.trend is None


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda t: t._replace(runs=t.runs.drop(columns="status")), "runs must have the column status"),
        (lambda t: t._replace(curves=t.curves.drop(columns="tokens")), "curves must have the column tokens"),
        (lambda t: t._replace(runs=t.runs.iloc[:0]), "at least one run"),
        (lambda t: t._replace(runs=pd.concat([t.runs, t.runs])), "got r00s0 twice"),
        (lambda t: t._replace(facts={**t.facts, "title": " "}), "facts must hold a title"),
        (lambda t: t._replace(factors=["lr"]), "names lr, but the runs have no column params.lr"),
    ],
)
def test_what_cannot_be_used_is_one_line(change: Callable[[Runs], Runs], line: str) -> None:
    with pytest.raises(InputError, match=line):
        explored(*change(build({"mask.rate": ["0.1"]}, seeds=(0,))))
