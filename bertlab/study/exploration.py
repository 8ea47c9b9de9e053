"""A sweep as a study with exploratory arms only: runs -> the record from which every report is made.

Enters: runs (run_id, name, status, params.*, tags.*, metrics.*) and curves in any order, facts (a title and a command),
the factors if they were declared, and the part of the regime that all runs share. Leaves: a `Record` with one arm for
each combination of factor values. The baseline is the arm with tagged runs, else the first arm. A run counts if it
diverged or has a finite final loss. All others, and repeated seeds, are listed in the fact `left_out`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bertlab.config.errors import InputError
from bertlab.study.outcome import OUTCOMES, curve_name, outcome_of
from bertlab.study.record import ALSO, CURVE, Record, canonical
from bertlab.study.regime import UNKNOWN, Regime

ID = "report"  # of the study, so also the name of its page
LOSS, GAIN, TOKENS = "eval/mlm_loss", "eval/context_gain", "params.budget.tokens"
WATCHED = ("train/loss", "train/mlm_loss", LOSS)  # losses; a value that is not finite means that the run diverged
ENDED = {"FAILED": "failed", "KILLED": "killed", "RUNNING": "still running"}
LARGEST = 1e300  # MLflow's SQL store saves infinity as the largest double
# metrics with their own tables
PARTS = re.compile(r"\.(rate|position|chunk|split|layer|seed|batch)_|/tasks\.|/onset")
RUN = ("run_id", "name", "status", "params.seed")
TAGS = ("code", "corpus", "evaluation", *ALSO)
FLOOR = 0.8  # least context gain in nats of a model that uses context


def explored(
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    facts: Mapping[str, str],
    factors: Sequence[str] | None = None,
    regime: Regime = UNKNOWN,
) -> Record:
    """Return runs as one canonical record. Raises InputError that names what is missing."""
    _check(runs, curves, facts)
    runs = _texts(runs)
    # arms: one per combination of factor values
    declared = declared_factors(runs, factors)
    factors = [factor for factor in declared if varies(runs, f"params.{factor}")]
    outcome = _outcome(runs)
    ended = _ended(runs, curves, outcome)
    runs = runs.assign(arm=_labels(runs, factors or declared), seed=runs["params.seed"], ended=ended)
    # sort runs by factor values, seed and id
    columns = [*(f"params.{factor}" for factor in factors), "seed", "run_id"]
    keys = [tuple(map(natural, row)) for row in runs[columns].itertuples(index=False)]
    runs = runs.iloc[sorted(range(len(runs)), key=keys.__getitem__)]
    # count each seed of an arm once
    counted = runs[runs["ended"].isin(("finished", "diverged"))].drop_duplicates(["arm", "seed"])
    # rows of the record: identity columns, then metrics
    kept = [name for name in map(str, runs) if name.startswith(("metrics.eval/", "metrics.perf/"))]
    metrics = {name.removeprefix("metrics."): name for name in kept}
    tags = {name: counted[f"tags.bertlab.{name}"] for name in TAGS if f"tags.bertlab.{name}" in counted}
    rows = counted[["arm", "seed", "run_id"]].assign(diverged=counted["ended"] == "diverged")
    rows = rows.assign(**{name: tags.get(name, "") for name in TAGS[:3]} | tags)
    rows = rows.assign(**{name: counted[column] for name, column in metrics.items()})
    node = _node(runs, factors, facts, outcome) | {
        "secondary": _secondary([name for name in metrics if rows[name].notna().any()])
    }
    wanted = {curve_name(name) for name in (outcome, GAIN, *node["secondary"])}
    found = _facts(runs, counted, factors, facts)
    return canonical(Record(node, found, rows, curves[curves["metric"].isin(wanted)], regime=regime))


def declared_factors(runs: pd.DataFrame, given: Sequence[str] | None = None) -> list[str]:
    """Return the factors, without the seed: those that are given, else every parameter that varies."""
    if given is None:
        varying = [name for name in free_params(runs) if varies(runs, name)]
        return [name.removeprefix("params.") for name in varying if not _follows_from_option(runs, name)]
    factors = [factor for factor in dict.fromkeys(given) if factor != "seed"]
    for factor in factors:
        if f"params.{factor}" not in runs:
            raise InputError(
                f"factors names {factor}, but the runs have no column params.{factor}; "
                "log that parameter or drop it from the factors"
            )
    return factors


def free_params(runs: pd.DataFrame) -> list[str]:
    """Return the parameter columns without the seed and its copies (for example a stream with the same seed)."""
    params = sorted(column for column in map(str, runs) if column.startswith("params."))
    return [column for column in params if not runs[column].equals(runs["params.seed"])]


def varies(runs: pd.DataFrame, column: str) -> bool:
    """Return whether the runs differ in this column; absent counts as a value."""
    return len(set(runs[column])) > 1


def natural(text: str) -> tuple[int, float, str]:
    """Sort key: numbers by value, then words by spelling."""
    value = as_number(text)
    return (1, 0.0, text) if math.isnan(value) else (0, value, text)


def as_number(text: str) -> float:
    """Return the finite number that a parameter spells, else NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _check(runs: pd.DataFrame, curves: pd.DataFrame, facts: Mapping[str, str]) -> None:
    for name in ("title", "command"):
        if not facts.get(name, "").strip():
            raise InputError(f"facts must hold a {name} for the report, got none; add facts[{name!r}]")
    for what, frame, names in (("runs", runs, RUN), ("curves", curves, CURVE)):
        if missing := [name for name in names if name not in frame]:
            raise InputError(f"{what} must have the column {missing[0]}, got {', '.join(map(str, frame)) or 'none'}")
    if runs.empty:
        raise InputError("a report needs at least one run, got none; check the experiment name and the filter")
    if (repeated := runs["run_id"][runs["run_id"].duplicated()]).any():
        raise InputError(f"runs must list each run once, got {repeated.iloc[0]} twice; drop the repeated row")


def _texts(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with parameters and tags as text; "" if absent."""
    texts = [name for name in map(str, runs) if not name.startswith("metrics.")]
    return runs.assign(**{name: runs[name].map(lambda value: "" if pd.isna(value) else str(value)) for name in texts})


def _follows_from_option(runs: pd.DataFrame, column: str) -> bool:
    """Return whether a part's key, such as model.layers, varies only because the option, model, does."""
    option = column.rpartition(".")[0]
    return option in runs and varies(runs, option) and runs.groupby(option)[column].nunique().max() == 1


def _labels(runs: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    rows = runs[[f"params.{factor}" for factor in factors]].itertuples(index=False)
    labels = [", ".join(f"{factor}={value or '–'}" for factor, value in zip(factors, row, strict=True)) for row in rows]
    return [label or "the only setting" for label in labels or [""] * len(runs)]


def _outcome(runs: pd.DataFrame) -> str:
    """Return the masked-token loss; if no run has it, the first other loss."""
    there = [name.removeprefix("metrics.") for name in map(str, runs) if name.startswith("metrics.eval/")]
    losses = (name for name in _secondary(there) if (each := outcome_of(name)).lower_is_better and each.unit == "nats")
    return LOSS if LOSS in there else next(losses, LOSS)


def _ended(runs: pd.DataFrame, curves: pd.DataFrame, outcome: str) -> list[str]:
    """Return how each run ended. Divergence overrides the status: the last logged loss may be an earlier one."""
    # diverged: a watched loss not finite, a tag, or an infinite final loss
    watched = curves[curves["metric"].isin(WATCHED)]
    broken = runs["run_id"].isin(watched["run_id"][~(watched["value"].astype(float).abs() < LARGEST)])
    broken |= runs.get("tags.bertlab.diverged", pd.Series("", runs.index)) == "true"
    loss = runs.get(f"metrics.{outcome}", pd.Series(math.nan, runs.index)).astype(float)
    broken |= loss.abs() >= LARGEST
    finished = loss.map(lambda value: "finished" if math.isfinite(value) else "no final loss")
    ended = [
        end if status == "FINISHED" else ENDED.get(status, status.lower())
        for status, end in zip(runs["status"], finished, strict=True)
    ]
    return ["diverged" if bad else end for bad, end in zip(broken, ended, strict=True)]


def _secondary(metrics: Sequence[str]) -> list[str]:
    """Return the measures with a table of contrasts, in the order of the table of measures."""
    plain = [name for name in sorted(metrics) if not PARTS.search(name)]
    return list(dict.fromkeys(name for each in OUTCOMES for name in plain if each.pattern.fullmatch(name)))


def _node(runs: pd.DataFrame, factors: Sequence[str], facts: Mapping[str, str], outcome: str) -> dict[str, Any]:
    """Return the input of `read_exploration`."""
    first = runs.drop_duplicates("arm").set_index("arm")
    tagged = runs["arm"][runs.get("tags.bertlab.baseline", pd.Series("", runs.index)) == "true"]
    arms = {arm: [f"{factor}={row[f'params.{factor}']}" for factor in factors] for arm, row in first.iterrows()}
    return {
        "id": ID,
        "question": facts["title"],
        "baseline": [*tagged, first.index[0]][0],
        "factors": list(factors),
        "arms": arms,
        "outcome": outcome,
        "floor": FLOOR,
    }


def _facts(
    runs: pd.DataFrame, counted: pd.DataFrame, factors: Sequence[str], facts: Mapping[str, str]
) -> dict[str, str]:
    """Return facts about the runs in words."""
    found = {key: text for key, text in facts.items() if key != "title"}
    tags = {"version": "version", "code": "code", "fingerprint": "corpus"}
    found |= {name: _distinct(runs, f"tags.bertlab.{tag}") for name, tag in tags.items()}
    found |= {name: _distinct(runs, f"params.{name}") for name in ("model", "optimizer")}
    budgets = [f"{float(each):,.0f}" for each in runs.get(TOKENS, pd.Series(dtype=str)).unique() if each]
    found["budget"] = f"{', '.join(budgets)} tokens" if budgets else ""
    # runs that do not count, with the reason
    lost = runs.drop(counted.index)
    name = "{arm} (seed {seed})" if len(set(runs["arm"])) > 1 else "seed {seed}"
    left = [
        f"{name.format_map(row)}, {'repeated' if row['ended'] == 'finished' else row['ended']}"
        for _, row in lost.iterrows()
    ]
    # parameters that differ inside an arm, and different corpora
    inside = [*(name for name in free_params(runs) if name.removeprefix("params.") not in factors), "tags.bertlab.code"]
    unlike = [name for name in inside if name in runs and runs.groupby("arm")[name].nunique().max() > 1]
    unlike += [name for name in ("tags.bertlab.corpus",) if name in runs and varies(runs, name)]
    found["left_out"] = "; ".join(left)
    found["unlike"] = "; ".join(
        f"{re.sub('^(params|tags.bertlab).', '', name)} ({_distinct(runs, name)})" for name in unlike
    )
    return {name: text for name, text in found.items() if text}


def _distinct(runs: pd.DataFrame, column: str) -> str:
    return ", ".join(sorted({text for text in runs.get(column, ()) if text}, key=natural))
