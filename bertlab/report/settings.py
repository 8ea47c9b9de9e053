"""Runs grouped into settings, and each setting compared with the reference seed by seed.

Enters: a canonical run table. Leaves: a `Sweep`: its varying factors, its settings in order, the reference. A run
counts when it finished with a finite final loss; the others stay in `Setting.runs` and are reported, never dropped.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bertlab.report.run_table import RunTable, as_number, declared_factors, natural, varies
from bertlab.report.words import DASH
from bertlab.stats.interval import Interval, paired_t

LOSS = "eval/mlm_loss"
WATCHED = ("train/loss", "train/mlm_loss", LOSS)  # a value that is not finite says that the run diverged
OUTCOMES = {"FAILED": "failed", "KILLED": "killed", "RUNNING": "still running"}


@dataclass(frozen=True, eq=False)
class Setting:
    """One configuration apart from the seed: a value per varying factor, all its runs, and those that count."""

    values: tuple[str, ...]
    label: str
    runs: pd.DataFrame
    counted: pd.DataFrame

    def by_seed(self, metric: str) -> "pd.Series[float]":
        """Return the final metric of the counted runs, one per seed; repeats of a seed are averaged first."""
        return final(self.counted, metric).groupby(self.counted["params.seed"]).mean().dropna()

    def mean(self, metric: str = LOSS) -> float:
        """Return the mean of `by_seed`; NaN when no counted run has the metric."""
        values = self.by_seed(metric)
        return float(values.mean()) if len(values) else math.nan


@dataclass(frozen=True, eq=False)
class Sweep:
    """Everything the sections and figures read; `runs` has one more column, `outcome`."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    facts: dict[str, str]
    factors: tuple[str, ...]  # those that vary
    constants: tuple[str, ...]  # declared as factors, but with one value throughout
    settings: tuple[Setting, ...]
    reference: Setting

    @property
    def counted(self) -> pd.DataFrame:
        """The runs that enter the comparison."""
        return self.runs[self.runs["outcome"] == "finished"]

    @property
    def lost(self) -> pd.DataFrame:
        """The runs that do not."""
        return self.runs[self.runs["outcome"] != "finished"]

    @property
    def ranked(self) -> list[Setting]:
        """The settings that have a result, lowest mean loss first."""
        return sorted((s for s in self.settings if len(s.counted)), key=lambda setting: setting.mean())


def sweep_of(table: RunTable) -> Sweep:
    """Group a canonical table into settings.

    The reference is the setting of the runs tagged `tags.bertlab.baseline` = "true", else the first in order.
    """
    runs = table.runs.assign(outcome=_outcomes(table))
    declared = declared_factors(runs, table.facts)
    varying = tuple(factor for factor in declared if varies(runs, f"params.{factor}"))
    constants = tuple(factor for factor in declared if factor not in varying)
    settings = _settings(runs, varying, constants)
    tagged = [setting for setting in settings if "true" in distinct(setting.runs, "tags.bertlab.baseline")]
    return Sweep(runs, table.curves, table.facts, varying, constants, settings, (tagged or list(settings))[0])


def final(runs: pd.DataFrame, metric: str) -> "pd.Series[float]":
    """Return the final values of a metric, NaN throughout when no run logged it."""
    if f"metrics.{metric}" not in runs:
        return pd.Series(math.nan, index=runs.index, dtype="float64")
    return runs[f"metrics.{metric}"]


def logged(sweep: Sweep, metric: str) -> bool:
    """True when at least one counted run has a final value of the metric."""
    return bool(final(sweep.counted, metric).notna().any())


def difference(setting: Setting, reference: Setting, metric: str = LOSS) -> Interval:
    """Return setting minus reference over the seeds that both have; for losses, negative is better."""
    return paired_t((setting.by_seed(metric) - reference.by_seed(metric)).dropna())


def run_label(run: Any) -> str:
    """Name a run (a row of `runs`) so that two seeds of one setting differ."""
    name = run["name"] or run["run_id"]
    return name if "seed=" in name else f"{name} (seed {run['params.seed']})"


def distinct(runs: pd.DataFrame, column: str) -> list[str]:
    """Return the values that occur in a text column, in natural order, without the empty one."""
    return sorted({text for text in runs.get(column, ()) if text}, key=natural)


def is_numeric(values: Iterable[str]) -> bool:
    """True when every value spells a finite number."""
    return not any(math.isnan(as_number(value)) for value in values)


def _settings(runs: pd.DataFrame, varying: tuple[str, ...], constants: tuple[str, ...]) -> tuple[Setting, ...]:
    groups: dict[tuple[str, ...], list[int]] = {}  # rows are sorted, so insertion order is factor order
    for row, values in enumerate(runs[[f"params.{factor}" for factor in varying]].itertuples(index=False)):
        groups.setdefault(tuple(values), []).append(row)
    return tuple(_setting(runs.iloc[rows], values, varying or constants) for values, rows in groups.items())


def _setting(runs: pd.DataFrame, values: tuple[str, ...], named: tuple[str, ...]) -> Setting:
    return Setting(values, _label(runs.iloc[0], named), runs, runs[runs["outcome"] == "finished"])


def _label(run: Any, factors: tuple[str, ...]) -> str:
    return ", ".join(f"{factor}={run[f'params.{factor}'] or DASH}" for factor in factors) or "the only setting"


def _outcomes(table: RunTable) -> list[str]:
    runs, watched = table.runs, table.curves[table.curves["metric"].isin(WATCHED)]
    broken = runs["run_id"].isin(watched["run_id"][~watched["value"].abs().lt(math.inf)])
    broken |= runs.get("tags.bertlab.diverged", pd.Series("", index=runs.index)) == "true"
    return [_outcome(*row) for row in zip(runs["status"], final(runs, LOSS), broken, strict=True)]


def _outcome(status: str, loss: float, broken: bool) -> str:
    if broken or math.isinf(loss):  # whatever the status: the last loss logged may be one from before
        return "diverged"
    if status == "FINISHED":
        return "finished" if math.isfinite(loss) else "no final loss"
    return OUTCOMES.get(status, status.lower())
