"""The table a report is made of, in one canonical order, and its CSV twins.

Enters: data frames read from a tracker, rows in any order. Leaves: the same content with text as text ("" where a
value is absent), numbers as floats, rows sorted by factors, seed and run id: equal content gives equal bytes.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bertlab.config.errors import InputError
from bertlab.study.damage import reading

RUN_COLUMNS = ("run_id", "name", "status", "params.seed")
CURVE_COLUMNS = ("run_id", "metric", "step", "tokens", "value")
COUNTS = CURVE_COLUMNS[2:4]
FACTS = ("title", "command")
FILES = ("runs.csv", "curves.csv", "facts.json")
TRACKER_INFINITY = 1e300  # MLflow's SQL store keeps infinity as the largest double


@dataclass(frozen=True, eq=False)
class RunTable:
    """Runs (one row each), curves (long: run_id, metric, step, tokens, value) and facts (what the runs do not say)."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    facts: dict[str, str]


def canonical(table: RunTable) -> RunTable:
    """Return the table with checked columns, plain types and sorted rows and columns.

    Rows sort by swept factor (numerically where numeric), seed, run id. Raises InputError naming what is missing.
    """
    facts = _facts(table.facts)
    runs = _runs(table.runs)
    columns = [f"params.{factor}" for factor in declared_factors(runs, facts)] + ["params.seed"]
    keys = [(*map(natural, row), run) for *row, run in runs[[*columns, "run_id"]].itertuples(index=False)]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    runs = runs.iloc[order].reset_index(drop=True)
    return RunTable(runs, _curves(table.curves, set(runs["run_id"])), facts)


def declared_factors(runs: pd.DataFrame, facts: Mapping[str, str]) -> list[str]:
    """Return the swept keys other than the seed: those of `facts["factors"]`, else every parameter that varies."""
    if "factors" not in facts:
        varying = [name for name in free_params(runs) if varies(runs, name)]
        return [name.removeprefix("params.") for name in varying if not _follows_from_option(runs, name)]
    factors = [factor for factor in dict.fromkeys(facts["factors"].split()) if factor != "seed"]
    for factor in factors:
        if f"params.{factor}" not in runs:
            raise InputError(
                f"facts.factors names {factor}, but the runs have no column params.{factor}; "
                "log that parameter or drop it from the factors"
            )
    return factors


def free_params(runs: pd.DataFrame) -> list[str]:
    """Return the parameter columns other than the seed and its copies (a stream that repeats the seed, say)."""
    params = [str(column) for column in runs.columns if str(column).startswith("params.")]
    return [column for column in params if not runs[column].equals(runs["params.seed"])]


def _follows_from_option(runs: pd.DataFrame, column: str) -> bool:
    """True for a key of a part, such as model.layers, that varies only as the option, model, does."""
    option = column.rpartition(".")[0]
    return option in runs and varies(runs, option) and runs.groupby(option)[column].nunique().max() == 1


def varies(runs: pd.DataFrame, column: str) -> bool:
    """True when the runs differ in this column; absent counts as a value."""
    return len(set(runs[column])) > 1


def natural(text: str) -> tuple[int, float, str]:
    """Sort key: numbers by value and before words, words by spelling."""
    value = as_number(text)
    return (1, 0.0, text) if math.isnan(value) else (0, value, text)


def as_number(text: str) -> float:
    """Return the finite number a parameter spells, else NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def read_table(folder: Path) -> RunTable:
    """Read the CSV twins and facts that a report left in `folder`; `write_report` of it gives the same bytes.

    All but counts is text still: `canonical` makes numbers of it. Raises InputError for a file that is
    missing or damaged.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"a report folder must hold {', '.join(FILES)}; {folder} has no {name}")
    types = {**dict.fromkeys(CURVE_COLUMNS, object), **dict.fromkeys(COUNTS, float)}  # counts: no last bit to miss
    absent = dict.fromkeys(COUNTS, "")
    with reading(folder):
        # plain objects: one by one, pandas' own texts are slow to get at
        runs = pd.read_csv(folder / FILES[0], dtype=object, keep_default_na=False)
        curves = pd.read_csv(folder / FILES[1], dtype=types, keep_default_na=False, na_values=absent)
        facts = dict(json.loads((folder / FILES[2]).read_text(encoding="utf-8")))
        return RunTable(runs, curves, facts)


def table_files(table: RunTable) -> dict[str, bytes]:
    """Return the twins of a canonical table: file name -> bytes. Floats are written so that they read back exactly."""
    facts = json.dumps(table.facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    texts = (table.runs.to_csv(index=False, lineterminator="\n"), _curves_text(table.curves), facts)
    return {name: text.encode() for name, text in zip(FILES, texts, strict=True)}


def _curves_text(curves: pd.DataFrame) -> str:
    """Return what `to_csv` would write, in half its time: how a line begins is written once for each curve."""
    runs, metrics = (curves[name].cat for name in CURVE_COLUMNS[:2])
    metric_texts = [_quoted(metric) for metric in metrics.categories]
    begins = [f"{_quoted(run)},{metric}," for run in runs.categories for metric in metric_texts]
    places = len(metric_texts) * runs.codes.to_numpy(dtype=np.int64) + metrics.codes.to_numpy()
    columns = [np.array(begins, dtype=object)[places].tolist(), *(curves[name].tolist() for name in COUNTS)]
    values = ["" if math.isnan(value) else repr(value) for value in curves["value"].tolist()]
    lines = [f"{begin}{step},{tokens},{value}\n" for begin, step, tokens, value in zip(*columns, values, strict=True)]
    return "".join([",".join(CURVE_COLUMNS) + "\n", *lines])


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _facts(facts: Mapping[str, str]) -> dict[str, str]:
    for name in FACTS:
        if not facts.get(name, "").strip():
            raise InputError(f"facts must hold a {name} for the report, got none; add facts[{name!r}]")
    if math.isnan(as_number(facts.get("floor", "0.8"))):
        raise InputError(f"facts.floor must be a number of nats, got {facts['floor']!r}; choose for example 0.8")
    return dict(facts)


def _runs(runs: pd.DataFrame) -> pd.DataFrame:
    _require(runs, RUN_COLUMNS, "runs")
    if runs.empty:
        raise InputError("a report needs at least one run, got none; check the experiment name and the filter")
    if (repeated := runs["run_id"][runs["run_id"].duplicated()]).any():
        raise InputError(f"runs must list each run once, got {repeated.iloc[0]} twice; drop the repeated row")
    columns = [*RUN_COLUMNS[:3], *sorted(set(runs.columns) - set(RUN_COLUMNS[:3]))]
    return pd.DataFrame({name: _numbers(runs, name) if _is_metric(name) else _texts(runs, name) for name in columns})


def _curves(curves: pd.DataFrame, known: set[str]) -> pd.DataFrame:
    _require(curves, CURVE_COLUMNS, "curves")
    texts = {name: _repeated_texts(curves, name) for name in CURVE_COLUMNS[:2]}
    if strangers := sorted(set(texts["run_id"].categories) - known):
        raise InputError(f"curves must belong to the runs, got run_id {strangers[0]}; add that run or drop its curves")
    numbers = {name: _numbers(curves, name).to_numpy() for name in CURVE_COLUMNS[2:]}
    for name in COUNTS:
        if not np.isfinite(numbers[name]).all():
            raise InputError(f"curves.{name} must be a whole number in every row, got an empty one; log it every point")
        numbers[name] = numbers[name].astype("int64")
    codes = {name: text.codes for name, text in texts.items()}  # their order is that of the texts
    order = np.lexsort([*reversed((codes | numbers).values())])
    return pd.DataFrame({name: values[order] for name, values in (texts | numbers).items()})


def _require(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    if missing := [name for name in columns if name not in frame]:
        raise InputError(
            f"{what} must have the column {missing[0]}, got {', '.join(map(str, frame.columns)) or 'none'}"
        )


def _is_metric(name: str) -> bool:
    return name.startswith("metrics.")


def _texts(frame: pd.DataFrame, name: str) -> "pd.Series[str]":
    texts = ["" if value is None or value != value else str(value) for value in frame[name].tolist()]
    return pd.Series(texts, index=range(len(frame)), dtype=object)


def _repeated_texts(frame: pd.DataFrame, name: str) -> "pd.Categorical[Any]":
    """Return a column of few texts, each of them kept once."""
    codes, found = pd.factorize(frame[name], use_na_sentinel=False)
    texts = pd.Categorical(_texts(pd.DataFrame({name: found}), name))
    return pd.Categorical.from_codes(texts.codes[codes], texts.categories)


def _numbers(frame: pd.DataFrame, name: str) -> "pd.Series[float]":
    values = frame[name]
    if values.dtype.kind not in "fiu":
        # float() reads back exactly what was written; pandas' own parsers may miss the last bit
        values = pd.Series([math.nan if value is None or value == "" else float(value) for value in values.tolist()])
    numbers = values.to_numpy(dtype="float64", copy=True)
    numbers[np.abs(numbers) > TRACKER_INFINITY] *= math.inf
    return pd.Series(numbers, index=range(len(frame)), dtype="float64")
