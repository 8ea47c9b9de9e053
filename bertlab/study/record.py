"""The record of a study: registration and measurements as plain files, from which a verdict can be computed again.

Enters: runs and curves in any order. Leaves: the same in one canonical order and precision, and as files: study.json
(the registration, the frozen margin, the plan, the regime, and facts in words), runs.csv (one row per run), curves.csv
(evaluations during the runs), remarks.md if there are remarks, published.json if the results of others were completed
afterwards, and rule.json if the study is judged by another rule than the registered one.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bertlab.config.errors import InputError
from bertlab.study.design import Study
from bertlab.study.outcome import curve_name
from bertlab.study.regime import (
    NO_MARGIN,
    UNKNOWN,
    FrozenMargin,
    Regime,
    plain_frozen,
    plain_regime,
    read_frozen,
    read_regime,
)
from bertlab.study.registration import read_exploration, read_study
from bertlab.study.search import best_values, of_trials, settled, tried_values
from bertlab.study.values import prior_of, sources
from bertlab.tracking.files import DAMAGE

FILES = ("study.json", "runs.csv", "curves.csv")
REMARKS, PUBLISHED, AGAIN = "remarks.md", "published.json", "rule.json"
RULE, RULE_NOW = "rule", "2"  # fact: the verdict rule at registration
EXPLORATION, SAME, HARMFUL = "exploration", "same", "harmful"  # arms that every study has in addition
PREDICTED = "predicted"  # fact: hash of the predictions for a rung before its first run
# columns of a run besides its metrics; `code`: the study's code if the run has its arm's code, else the run's own
ABOUT = ("arm", "seed", "run_id", "diverged", "code", "corpus", "evaluation")
OWN = "own"  # fact: the user's own folder of parts and studies
RESTARTS = "restarts"  # how often a run was restarted after its process died
ALSO = ("environment", RESTARTS)  # optional columns: earlier records lack them
CURVE = ("run_id", "metric", "step", "tokens", "value")
DIGITS = 7  # significant digits, as many as in single precision


@dataclass(frozen=True, eq=False)
class Record:
    """One study. `node` is the study as in its file; `facts` hold what the runs do not state, in words for readers.

    `runs`: the columns ABOUT and one for each metric, named as runs log it (eval/..., perf/...). `curves`: CURVE.
    """

    node: Mapping[str, Any]
    facts: Mapping[str, str]
    runs: pd.DataFrame
    curves: pd.DataFrame
    frozen: FrozenMargin = NO_MARGIN
    planned: Mapping[str, int] = field(default_factory=dict)  # seeds of each arm; empty if not recorded
    regime: Regime = UNKNOWN
    remarks: str = ""  # written after the results; no verdict uses them
    rule: Mapping[str, Any] = field(default_factory=dict)  # inputs of judging again: see `read_rule`
    published: Sequence[Mapping[str, str]] = ()  # results of others, completed afterwards; () if as registered

    @cached_property
    def registered(self) -> Study:
        """The study as registered, checked; a sweep is a study without a claim."""
        return read_study({"study": self.node}) if "claim" in self.node else read_exploration(self.node)

    @cached_property
    def study(self) -> Study:
        """The study as judged: after a search, with its arms at the values found.

        If it is judged again, its claim has the wording that the rule tests, and the variance is that of its regime.
        """
        study = self.registered
        if self.rule:
            prior = prior_of(self.rule["prior"]) if "prior" in self.rule else study.prior
            study = replace(study, claim=self.rule.get("claim", study.claim), prior=prior)
        if written := self.published or self.rule.get("published"):
            study = replace(study, published=sources(list(written)))
        return settled(study, best_values(study, self.runs)) if study.search else study

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics in the rows of runs."""
        return [str(name) for name in self.runs.columns if name not in (*ABOUT, *ALSO)]

    def arm(self, name: str) -> pd.DataFrame:
        """Return the runs of an arm, by seed."""
        if name not in self._kept:
            self._kept[name] = self.runs[self.runs["arm"] == name].set_index("seed")
        return self._kept[name].copy()

    def curve(self, name: str, metric: str) -> pd.DataFrame:
        """Return a metric during the runs of an arm: one row per seed, one column per number of tokens.

        For a final measure this is the curve that ends there. Diverged runs, and points that not every run has, are
        left out.
        """
        key = f"{name}/{curve_name(metric)}"
        if key not in self._kept:
            self._kept[key] = self._curve(name, curve_name(metric))
        return self._kept[key].copy()

    @cached_property
    def _kept(self) -> dict[str, pd.DataFrame]:
        """Cache of runs and curves: a page reads the same ones hundreds of times."""
        return {}

    def _curve(self, name: str, metric: str) -> pd.DataFrame:
        runs = self.arm(name)
        seed_of = {run: seed for seed, run in runs.loc[~runs["diverged"], "run_id"].items()}
        points = self.curves[(self.curves["metric"] == metric) & self.curves["run_id"].isin(list(seed_of))]
        points = points.assign(seed=points["run_id"].map(seed_of), value=points["value"].astype(float))
        return points.pivot_table(index="seed", columns="tokens", values="value").dropna(axis="columns")


def canonical(record: Record) -> Record:
    """Return the record in canonical order and precision. Raises InputError for missing columns."""
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
    return replace(
        record,
        facts={name: record.facts[name] for name in sorted(record.facts)},
        runs=pd.concat([texts, numbers], axis="columns").reset_index(drop=True),
        curves=curves.sort_values(list(CURVE[:4]), ignore_index=True),
    )


def twins(record: Record) -> dict[str, bytes]:
    """Return the files of a canonical record: name -> bytes."""
    texts = [json.dumps(_about(record), indent=1, ensure_ascii=False) + "\n"]
    texts += [table.to_csv(index=False, lineterminator="\n") for table in (record.runs, record.curves)]
    files = dict(zip(FILES, texts, strict=True)) | ({REMARKS: record.remarks} if record.remarks else {})
    written = {AGAIN: record.rule, PUBLISHED: record.published}
    files |= {name: json.dumps(own, indent=1, ensure_ascii=False) + "\n" for name, own in written.items() if own}
    return {name: text.encode() for name, text in files.items()}


def read_record(folder: Path) -> Record:
    """Read the files that `twins` wrote; writing again gives the same bytes. Raises InputError."""
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"a study's folder must hold {', '.join(FILES)}; {folder} has no {name}")
    with reading(folder):
        about = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        runs, curves = (pd.read_csv(folder / name, dtype=str, keep_default_na=False) for name in FILES[1:])
        record = Record(
            about["study"],
            about["facts"],
            runs,
            curves,
            frozen=read_frozen(about["frozen"]),
            planned=about["planned"],
            regime=read_regime(about["regime"]),
            remarks=read_remarks(folder),
            rule=read_rule(folder),
            published=read_published(folder),
        )
        return canonical(record)


def _about(record: Record) -> dict[str, Any]:
    """Return the content of study.json."""
    return {
        "study": record.node,
        "frozen": plain_frozen(record.frozen),
        "planned": record.planned,
        "regime": plain_regime(record.regime),
        "facts": record.facts,
    }


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Convert errors of damaged files to InputError."""
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
    """Return the remarks in a study's folder; "" if there are none."""
    path = folder / REMARKS
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def read_rule(folder: Path) -> dict[str, Any]:
    """Return the inputs of judging a study again; empty if it is judged by its registered rule.

    `claim`: as tested, if the registered wording differs. `prior`: of the regime. `published`: corrected results of
    others. `earlier`: the finding by the registered rule. `why`: the reason for a changed status, in words. `before`:
    earlier registrations of the study, in words.
    """
    path = folder / AGAIN
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def read_published(folder: Path) -> list[dict[str, str]]:
    """Return the results of others as they were completed afterwards, with words on agreement; [] if there are none."""
    path = folder / PUBLISHED
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []


def _arms(record: Record) -> list[str]:
    """Return the possible arms of a run, in the order of the rows."""
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
    """Return the number rounded to DIGITS significant digits; NaN for none."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    return float(f"{float(value):.{DIGITS}g}")
