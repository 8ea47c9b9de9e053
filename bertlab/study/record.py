"""The record of a study: what was registered and what was measured, as plain files that a verdict can be made of again.

Enters: runs and curves in any order. Leaves: the same in one canonical order and precision, and its twins on disk:
study.json (the registration), runs.csv (one row a run), curves.csv (evaluations along the runs), remarks.md where
somebody wrote one, and rule.json where a study is judged by another rule than it was registered under.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bertlab.config.errors import InputError
from bertlab.ledger.files import DAMAGE
from bertlab.study.design import Study
from bertlab.study.outcome import curve_name
from bertlab.study.registration import read_exploration, read_study
from bertlab.study.search import best_values, of_trials, settled, tried_values
from bertlab.study.values import prior_of, sources

FILES = ("study.json", "runs.csv", "curves.csv")
REMARKS, AGAIN = "remarks.md", "rule.json"
RULE, RULE_NOW = "rule", "2"  # the fact that names the rule of verdicts that a study was registered under
EXPLORATION, SAME, HARMFUL = "exploration", "same", "harmful"  # arms that every study has beside its own
PLANNED = "planned"  # the fact that says how many seeds of each arm were to run
PREDICTED = "predicted"  # the fact that holds the hash of what was predicted about a rung before its first run
ABOUT = ("arm", "seed", "run_id", "diverged", "code", "corpus", "evaluation")  # what a row says beside its metrics;
# `code`: the study's, where the code of the run's arm made the run, else the code that did
START = "start"  # the fact that names the weights that all runs started from, and their hash
OWN = "own"  # the fact that names the folder of parts and studies that a person wrote
RESTARTS = "restarts"  # how often a run was started again after its process had ended without a result
ALSO = ("environment", RESTARTS)  # what it may say: earlier records do not
CURVE = ("run_id", "metric", "step", "tokens", "value")
DIGITS = 7  # significant ones, as many as single precision has


@dataclass(frozen=True, eq=False)
class Record:
    """One study. `node` is the study as its file has it, `facts` what the runs do not say, in words.

    `runs`: the columns ABOUT and one for each metric, named as runs log it (eval/..., perf/...). `curves`: CURVE.
    """

    node: Mapping[str, Any]
    facts: Mapping[str, str]
    runs: pd.DataFrame
    curves: pd.DataFrame
    remarks: str = ""  # written after the results were seen; no verdict rests on them
    rule: Mapping[str, Any] = field(default_factory=dict)  # what judging again took: see `read_rule`

    @cached_property
    def registered(self) -> Study:
        """The study as it was registered, checked; a sweep as one that claims nothing."""
        return read_study({"study": self.node}) if "claim" in self.node else read_exploration(self.node)

    @cached_property
    def study(self) -> Study:
        """The study as it is judged: after a search, with its arms at the values that were found.

        Where it is judged again, its claim is worded as the rule tests it, and the variance is that of its regime.
        """
        study = self.registered
        if self.rule:
            prior = prior_of(self.rule["prior"]) if "prior" in self.rule else study.prior
            published = sources(self.rule.get("published", self.node.get("published") or []))
            study = replace(study, claim=self.rule.get("claim", study.claim), prior=prior, published=published)
        return settled(study, best_values(study, self.runs)) if study.search else study

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that stand in the rows of runs."""
        return [str(name) for name in self.runs.columns if name not in (*ABOUT, *ALSO)]

    def arm(self, name: str) -> pd.DataFrame:
        """Return the runs of an arm, by seed."""
        if name not in self._kept:
            self._kept[name] = self.runs[self.runs["arm"] == name].set_index("seed")
        return self._kept[name].copy()

    @property
    def margin(self) -> float:
        """The difference that matters, in units of the outcome."""
        return float(self.facts["margin"])

    @property
    def slope(self) -> float:
        """What one unit of ln(tokens) is worth to the baseline, in its units; NaN where that is not known."""
        return float(self.facts["slope"])

    @cached_property
    def planned(self) -> dict[str, int]:
        """How many seeds of each arm were to run; empty where the record does not say, as earlier ones do not."""
        pairs = (each.split() for each in self.facts.get(PLANNED, "").split(",") if each)
        return {arm: int(seeds) for arm, seeds in pairs}

    def curve(self, name: str, metric: str) -> pd.DataFrame:
        """Return a metric along the runs of an arm: one row a seed, one column a number of tokens.

        The curve of one that is measured at the end alone is that of the measure which it ends. Diverged runs and
        points that not every run has are left out.
        """
        key = f"{name}/{curve_name(metric)}"
        if key not in self._kept:
            self._kept[key] = self._curve(name, curve_name(metric))
        return self._kept[key].copy()

    @cached_property
    def _kept(self) -> dict[str, pd.DataFrame]:
        """Runs and curves that were asked for: a page asks for the same ones hundreds of times."""
        return {}

    def _curve(self, name: str, metric: str) -> pd.DataFrame:
        runs = self.arm(name)
        seed_of = {run: seed for seed, run in runs.loc[~runs["diverged"], "run_id"].items()}
        points = self.curves[(self.curves["metric"] == metric) & self.curves["run_id"].isin(list(seed_of))]
        points = points.assign(seed=points["run_id"].map(seed_of), value=points["value"].astype(float))
        return points.pivot_table(index="seed", columns="tokens", values="value").dropna(axis="columns")


def planned_text(planned: Mapping[str, int]) -> str:
    """Return the fact that `Record.planned` reads."""
    return ", ".join(f"{arm} {seeds}" for arm, seeds in planned.items())


def canonical(record: Record) -> Record:
    """Return the record in its one order and precision. Raises InputError for columns that are missing."""
    runs = _columns(record.runs, ABOUT, "runs").copy()
    runs["seed"] = runs["seed"].astype(int)
    runs["diverged"] = runs["diverged"].map(lambda value: str(value).lower() == "true")
    order = _arms(replace(record, runs=runs))
    if strangers := sorted(set(runs["arm"]) - set(order)):
        raise InputError(
            f"runs.arm must be an arm of study {record.registered.id}, got {strangers[0]}; choose one of {order}"
        )
    runs = runs.iloc[np.lexsort((runs["seed"], runs["arm"].map(order.index)))]
    also = [name for name in ALSO if name in runs]
    metrics = sorted(set(runs.columns) - {*ABOUT, *ALSO})
    numbers = pd.DataFrame({name: runs[name].map(_rounded) for name in metrics}, index=runs.index, dtype=float)
    texts = runs[[*ABOUT, *also]].fillna("")
    curves = _columns(record.curves, CURVE, "curves")[list(CURVE)].copy()
    curves = curves[curves["run_id"].isin(set(runs["run_id"]))]
    curves = curves.astype({"step": int, "tokens": int}).assign(value=curves["value"].map(_rounded))
    return Record(
        record.node,
        {name: record.facts[name] for name in sorted(record.facts)},
        pd.concat([texts, numbers], axis="columns").reset_index(drop=True),
        curves.sort_values(list(CURVE[:4]), ignore_index=True),
        record.remarks,
        record.rule,
    )


def twins(record: Record) -> dict[str, bytes]:
    """Return the files of a canonical record: name -> bytes."""
    about = {"study": record.node, "facts": record.facts}
    texts = [json.dumps(about, indent=1, ensure_ascii=False) + "\n"]
    texts += [table.to_csv(index=False, lineterminator="\n") for table in (record.runs, record.curves)]
    files = dict(zip(FILES, texts, strict=True)) | ({REMARKS: record.remarks} if record.remarks else {})
    files |= {AGAIN: json.dumps(record.rule, indent=1, ensure_ascii=False) + "\n"} if record.rule else {}
    return {name: text.encode() for name, text in files.items()}


def read_record(folder: Path) -> Record:
    """Read what `twins` wrote; the same bytes can be written again. Raises InputError."""
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"a study's folder must hold {', '.join(FILES)}; {folder} has no {name}")
    with reading(folder):
        about = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        runs, curves = (pd.read_csv(folder / name, dtype=str, keep_default_na=False) for name in FILES[1:])
        return canonical(Record(about["study"], about["facts"], runs, curves, read_remarks(folder), read_rule(folder)))


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what damaged files raise while they are read into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (*DAMAGE, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{folder} must hold the files of a report as they were written, got a damaged one "
            f"({type(error).__name__}: {reason}); fetch them again, or type the command that wrote the report"
        ) from error


def read_remarks(folder: Path) -> str:
    """Return what somebody wrote beside a study's files; "" where nobody did."""
    path = folder / REMARKS
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def read_rule(folder: Path) -> dict[str, Any]:
    """Return what judging a study again took; empty where it is judged by the rule of its registration.

    `claim`: as it is tested, where its words said something else. `prior`: of the regime. `published`: what others
    found, put right. `earlier`: what was found by the rule of its registration. `why`: what moved the status, in words.
    `before`: earlier registrations of the study, in words.
    """
    path = folder / AGAIN
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _arms(record: Record) -> list[str]:
    """Return what a run may belong to, in the order of the rows."""
    registered, study = record.registered, record.study
    arms = [study.baseline, *(arm for arm in study.arms if arm != study.baseline), SAME, HARMFUL, EXPLORATION]
    if not registered.search:
        return arms
    beyond = {
        arm: set(tried_values(registered, record.runs, arm)) - {*registered.search.values} for arm in registered.arms
    }
    return [*arms, *of_trials(registered, {arm: sorted(values) for arm, values in beyond.items()}).arms]


def _columns(table: pd.DataFrame, names: tuple[str, ...], what: str) -> pd.DataFrame:
    if missing := [name for name in names if name not in table]:
        raise InputError(
            f"{what} must have the column {missing[0]}, got {', '.join(map(str, table.columns)) or 'none'}"
        )
    return table


def _rounded(value: Any) -> float:
    """Return the number that its first digits spell; NaN where there is none."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    return float(f"{float(value):.{DIGITS}g}")
