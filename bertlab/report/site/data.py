"""The data of a study's page: contrasts, seeds and curves as JSON values.

Enters: `Findings`. Leaves: dictionaries and tables. Values and differences are in the unit of reports
(`Scale.factor`). A table is {"columns": names, "rows": lists}, because repeated names would make pages large.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bertlab.report.study.contrasts import changed, in_order
from bertlab.report.study.curves import curve_metrics, curve_of
from bertlab.report.study.onset import word_of
from bertlab.report.study.scale import outcome_scale, scale_of
from bertlab.stats.claim import ALPHA
from bertlab.stats.looks import interval_level, look_alpha
from bertlab.stats.rule import Kind
from bertlab.study.contrasts import outcomes
from bertlab.study.judge import Findings, Judged
from bertlab.study.labels import label
from bertlab.study.outcome import outcome_of
from bertlab.study.record import DIGITS, HARMFUL, SAME

POINTS = 8  # most points of a curve, evenly spaced in ln(tokens): enough for a screen, and pages stay small
METRICS = 2  # number of curves on a page: the outcome and the loss
FINE = {100.0: 2, 1.0: 3}  # factor of a scale -> decimals of its curves
COSTS = ("perf/tokens", "perf/flops", "perf/seconds")
STOPPED = (Kind.INVALID, Kind.UNSTABLE, Kind.UNTESTABLE)
Values = dict[str, Any]
Number = float | int | None


def study_data(findings: Findings) -> Values:
    """Return all data that a study's page draws and judges again."""
    study, scale = findings.study, outcome_scale(findings)
    shares = range(1, len(findings.primary) + 1)
    return {
        "outcome": findings.outcome.words,
        "unit": scale.apart,
        "digits": scale.decimals,
        "lower": findings.outcome.lower_is_better,
        "margin": rounded(scale.factor * findings.margin),
        "level": rounded(interval_level(study.looks)),
        "alphas": [rounded(look_alpha(study.looks, ALPHA / share)) for share in shares],
        "onPlateau": findings.on_plateau,
        "bank": bool(study.bank),
        "baseline": {"arm": study.baseline, "label": label(study, study.baseline)},
        "contrasts": table(_contrast(findings, judged) for judged in in_order(findings)),
        "controls": table(_contrast(findings, judged) for judged in findings.controls.values()),
        "values": _values(findings),
        "curves": [_curves(findings, metric) for metric in curve_metrics(findings)[:METRICS]],
        "costs": {arm: _costs(findings, arm) for arm in study.arms},
    }


def effect_rows(findings: Findings) -> list[Values]:
    """Return every contrast of a study in units of its margin; positive means worse."""
    sign = 1 if findings.outcome.lower_is_better else -1
    return [
        {
            "arm": label(findings.study, judged.arm),
            "against": label(findings.study, judged.against),
            "low": _margins(findings, judged.verdict.interval.low),
            "mean": _margins(findings, sign * judged.contrast.mean),
            "high": _margins(findings, judged.verdict.interval.high),
            "kind": judged.verdict.kind.value,
            "primary": int(judged.expects is not None),
        }
        for judged in in_order(findings)
        if math.isfinite(judged.interval.low)
    ]


def table(rows: Any) -> Values:
    """Return rows with equal names as a table, without columns that are empty in every row."""
    every: Sequence[Mapping[str, Any]] = list(rows)
    columns = [name for name in every[0] if any(row[name] is not None for row in every)] if every else []
    return {"columns": columns, "rows": [[row[name] for name in columns] for row in every]}


def rounded(value: float, digits: int = DIGITS) -> Number:
    """Return a value with the significant digits of records; None if it is not finite."""
    if not math.isfinite(value):
        return None
    number = float(f"{value:.{digits}g}")
    return int(number) if number.is_integer() else number


def _margins(findings: Findings, value: float) -> float:
    return round(value / findings.margin, 2)


def _contrast(findings: Findings, judged: Judged) -> Values:
    scale, contrast, kind = outcome_scale(findings), judged.contrast, judged.verdict.kind
    text, study = contrast.text, findings.study
    return {
        "arm": judged.arm,
        "label": label(study, judged.arm) if judged.arm in study.arms else None,
        "against": judged.against if judged.against != study.baseline else None,
        "changes": changed(findings, judged.arm),
        "n": contrast.n,
        "mean": rounded(scale.factor * contrast.mean),
        "sd": rounded(scale.factor * contrast.moderated_sd),
        "df": rounded(contrast.df),
        "text": [rounded(scale.factor**2 * text.variance), rounded(text.df)] if text and text.variance else None,
        "stopped": kind.value if kind in STOPPED else None,
        "expects": judged.expects.value if judged.expects else None,
        "made": word_of(findings, judged.arm) or None,
    }


def _values(findings: Findings) -> Values:
    """Return the outcome of every arm and control for every seed; None if missing."""
    factor, study = outcome_scale(findings).factor, findings.study
    found = {arm: outcomes(findings.record, study, arm) for arm in (*study.arms, SAME, HARMFUL)}
    seeds = sorted({int(seed) for own in found.values() for seed in own.index})
    by_arm = {arm: [rounded(factor * own.get(seed, math.nan), 5) for seed in seeds] for arm, own in found.items()}
    return {"seeds": seeds, "arms": by_arm}


def _costs(findings: Findings, arm: str) -> list[Number]:
    """Return the tokens, FLOPs and seconds of an arm's runs, medians."""
    runs = findings.record.arm(arm)
    return [rounded(float(runs[name].median()), 4) if name in runs else None for name in COSTS]


def _curves(findings: Findings, metric: str) -> Values:
    """Return a metric during the runs as integers, to be divided by 10 ** digits.

    `tokens` are the baseline's; an arm with others has its own. An arm's seeds are differences from its first one.
    """
    measure, scale, arms = outcome_of(metric), scale_of(metric), {}
    for arm in findings.study.arms:
        curve = _thinned(curve_of(findings, arm, metric))
        numbers = np.rint(scale.factor * curve.to_numpy() * 10 ** FINE[scale.factor]).astype(int)
        numbers[1:] -= numbers[:1]
        arms[arm] = {"tokens": [int(tokens) for tokens in curve.columns], "seeds": numbers.tolist()}
    shared = arms[findings.study.baseline]["tokens"]
    arms = {arm: own["seeds"] if own["tokens"] == shared else own for arm, own in arms.items()}
    about = {"words": measure.words, "lower": measure.lower_is_better, "unit": scale.unit}
    return {**about, "digits": FINE[scale.factor], "tokens": shared, "arms": arms}


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """Keep the first point, the last, and those nearest to even steps of ln(tokens) between them."""
    if curve.shape[1] <= POINTS:
        return curve
    at = np.log(np.array([int(tokens) for tokens in curve.columns], dtype=float))
    return curve.iloc[:, sorted({int(np.abs(at - step).argmin()) for step in np.linspace(at[0], at[-1], POINTS)})]
