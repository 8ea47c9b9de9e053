"""The canonical table: order, types, refusals, and twins that read back exactly."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bertlab.config.errors import InputError
from bertlab.report.run_table import RunTable, canonical, declared_factors, natural, read_table, table_files


def save(table: RunTable, folder: Path) -> None:
    for name, content in table_files(canonical(table)).items():
        (folder / name).write_bytes(content)


def test_runs_sort_by_factor_value_then_seed_not_by_spelling(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"model.heads": ["16", "2", "4"]}, seeds=(10, 9))
    runs = canonical(table).runs
    assert runs["params.model.heads"].tolist() == ["2", "2", "4", "4", "16", "16"]
    assert runs["params.seed"].tolist() == ["9", "10"] * 3


def test_numbers_sort_before_words() -> None:
    assert sorted(["none", "10", "1e-3", "nan", "9"], key=natural) == ["1e-3", "9", "10", "nan", "none"]


def test_rows_and_columns_in_any_order_give_the_same_twins(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1", "0.15"]})
    rng = np.random.default_rng(5)
    shuffled = RunTable(
        table.runs.iloc[rng.permutation(len(table.runs))][list(rng.permutation(table.runs.columns))],
        table.curves.iloc[rng.permutation(len(table.curves))],
        dict(reversed(table.facts.items())),
    )
    assert table_files(canonical(shuffled)) == table_files(canonical(table))


def test_twins_read_back_exactly(make_table: Callable[..., RunTable], tmp_path: Path) -> None:
    table = make_table({"mask.rate": ["0.1", "0.15"]}, seeds=(0,))
    runs = table.runs.assign(**{"params.note": ['a, "b"\nc | NA', "nan"], "params.absent": [None, "x"]})
    runs["metrics.eval/mlm_loss"] = [0.1 + 0.2, math.inf]
    runs["metrics.eval/captured"] = [math.nan, 1e-17]
    save(dataclasses.replace(table, runs=runs), tmp_path)
    read = canonical(read_table(tmp_path))
    assert read.runs["params.note"].tolist() == ['a, "b"\nc | NA', "nan"]
    assert read.runs["params.absent"].tolist() == ["", "x"]
    assert read.runs["metrics.eval/mlm_loss"].tolist() == [0.1 + 0.2, math.inf]
    assert math.isnan(read.runs["metrics.eval/captured"][0])
    pd.testing.assert_frame_equal(read.curves, canonical(table).curves, check_exact=True)
    assert read.facts == table.facts


@pytest.mark.parametrize("rows", [5, 0])
def test_curves_are_written_as_pandas_writes_them(make_table: Callable[..., RunTable], rows: int) -> None:
    table = make_table({"mask.rate": ["0.1"]}, seeds=(0,))
    names = ["train/loss", 'a, "b"', "two\nlines", '"', ""]
    values = [8e-05, math.nan, -math.inf, 1e16, 0.1 + 0.2]
    odd = pd.DataFrame({"run_id": "r00s0", "metric": names, "step": 10**15, "tokens": 7, "value": values})
    curves = canonical(dataclasses.replace(table, curves=odd[:rows])).curves
    files = table_files(dataclasses.replace(table, curves=curves))
    assert files["curves.csv"].decode() == curves.to_csv(index=False, lineterminator="\n")
    assert len(curves) == rows


def test_the_largest_double_of_the_tracker_is_infinity(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1"]}, seeds=(0,))
    runs = table.runs.assign(**{"metrics.eval/mlm_loss": [-1.7976931348623157e308]})
    assert canonical(dataclasses.replace(table, runs=runs)).runs["metrics.eval/mlm_loss"][0] == -math.inf


def test_a_key_that_follows_from_the_option_of_its_part_is_no_factor(make_table: Callable[..., RunTable]) -> None:
    runs = make_table({"model": ["nano", "tiny"], "model.heads": ["2", "4"]}).runs
    layers = runs["params.model"].map({"nano": "2", "tiny": "4"})
    runs = runs.assign(**{"params.model.layers": layers, "tags.bertlab.baseline": ""})
    assert declared_factors(runs, {}) == ["model", "model.heads"]


@pytest.mark.parametrize("column", ["run_id", "name", "status", "params.seed"])
def test_a_missing_run_column_is_named(make_table: Callable[..., RunTable], column: str) -> None:
    table = make_table({"mask.rate": ["0.1"]})
    with pytest.raises(InputError, match=f"runs must have the column {column}"):
        canonical(dataclasses.replace(table, runs=table.runs.drop(columns=column)))


def test_a_missing_curve_column_is_named(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1"]})
    with pytest.raises(InputError, match="curves must have the column tokens"):
        canonical(dataclasses.replace(table, curves=table.curves.drop(columns="tokens")))


def test_a_factor_that_was_not_logged_is_refused(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1"]})
    with pytest.raises(InputError, match=r"facts.factors names optimizer.lr, but the runs have no column"):
        canonical(dataclasses.replace(table, facts={**table.facts, "factors": "mask.rate optimizer.lr"}))


@pytest.mark.parametrize("fact", ["title", "command"])
def test_a_report_needs_a_title_and_a_command(make_table: Callable[..., RunTable], fact: str) -> None:
    table = make_table({"mask.rate": ["0.1"]})
    with pytest.raises(InputError, match=f"facts must hold a {fact}"):
        canonical(dataclasses.replace(table, facts={**table.facts, fact: " "}))


def test_a_floor_that_is_no_number_is_refused(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1"]})
    with pytest.raises(InputError, match="floor must be a number of nats, got 'low'"):
        canonical(dataclasses.replace(table, facts={**table.facts, "floor": "low"}))


def test_no_run_twice_the_same_run_and_strange_curves_are_refused(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1"]}, seeds=(0,))
    with pytest.raises(InputError, match="at least one run"):
        canonical(dataclasses.replace(table, runs=table.runs.iloc[:0]))
    with pytest.raises(InputError, match="got r00s0 twice"):
        canonical(dataclasses.replace(table, runs=pd.concat([table.runs, table.runs])))
    with pytest.raises(InputError, match="curves must belong to the runs, got run_id stranger"):
        canonical(dataclasses.replace(table, curves=table.curves.assign(run_id="stranger")))


def test_a_point_without_its_tokens_is_refused(make_table: Callable[..., RunTable]) -> None:
    table = make_table({"mask.rate": ["0.1"]}, seeds=(0,))
    with pytest.raises(InputError, match=r"curves\.tokens must be a whole number"):
        canonical(dataclasses.replace(table, curves=table.curves.assign(tokens=math.nan)))


def test_a_point_that_lost_its_tokens_in_the_twin_is_refused(
    make_table: Callable[..., RunTable], tmp_path: Path
) -> None:
    save(make_table({"mask.rate": ["0.1"]}, seeds=(0,)), tmp_path)
    lines = (tmp_path / "curves.csv").read_text("utf-8").splitlines()
    run, metric, step, _, value = lines[1].split(",")
    (tmp_path / "curves.csv").write_text("\n".join([lines[0], f"{run},{metric},{step},,{value}", *lines[2:]]), "utf-8")
    with pytest.raises(InputError, match=r"curves\.tokens must be a whole number in every row, got an empty one"):
        canonical(read_table(tmp_path))


def test_a_folder_without_its_twins_says_which_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no runs\.csv"):
        read_table(tmp_path)
