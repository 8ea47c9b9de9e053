"""What the page of a study computes with: its contrasts, seeds and curves as plain values for JSON.

Enters: `Findings`. Leaves: dictionaries. Values and differences are in the unit that reports show (`Scale.factor`).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bertlab.report.study.contrasts import changed, in_order
from bertlab.report.study.curves import curve_metrics, curve_of
from bertlab.report.study.onset import word_of
from bertlab.report.study.scale import Scale, outcome_scale, scale_of
from bertlab.stats.claim import ALPHA
from bertlab.stats.interval import Interval
from bertlab.stats.ladder import PREDICTED
from bertlab.stats.looks import interval_level, look_alpha
from bertlab.stats.rule import Kind
from bertlab.study.contrasts import outcomes
from bertlab.study.judge import Findings, Judged
from bertlab.study.labels import label
from bertlab.study.ladder import FEWEST, Ladder, trend
from bertlab.study.outcome import outcome_of
from bertlab.study.record import DIGITS, HARMFUL, SAME

POINTS = 14  # of a curve at most, evenly spread over ln(tokens): a screen shows no more, and pages stay small
METRICS = 2  # whose curves a page has: the outcome and the loss
COSTS = ("perf/tokens", "perf/flops", "perf/seconds")
CONTROLS = {SAME: "the baseline against itself, one stream of chance drawn anew", HARMFUL: "an arm known to do harm"}
STOPPED = (Kind.INVALID, Kind.UNSTABLE, Kind.UNTESTABLE)
Values = dict[str, Any]


def study_data(findings: Findings, ladder: Ladder | None = None) -> Values:
    """Return everything that a study's page draws and judges again."""
    study, scale = findings.study, outcome_scale(findings)
    shares = range(1, len(findings.primary) + 1)
    return {
        "id": study.id,
        "outcome": study.outcome,
        "unit": scale.apart,
        "digits": scale.decimals,
        "lower": findings.outcome.lower_is_better,
        "margin": rounded(scale.factor * findings.margin),
        "level": rounded(interval_level(study.looks)),
        "alphas": [rounded(look_alpha(study.looks, ALPHA / share)) for share in shares],
        "onPlateau": findings.on_plateau,
        "bank": bool(study.bank),
        "baseline": {"arm": study.baseline, "label": label(study, study.baseline)},
        "contrasts": [_contrast(findings, judged) for judged in in_order(findings)],
        "controls": [_contrast(findings, judged) for judged in findings.controls.values()],
        "values": {arm: _values(findings, arm, scale) for arm in (*study.arms, SAME, HARMFUL)},
        "curves": [_curves(findings, metric) for metric in curve_metrics(findings)[:METRICS]],
        "costs": {arm: _costs(findings, arm) for arm in study.arms},
        "ladder": _ladder(ladder) if ladder else None,
    }


def effect_data(findings: Findings) -> list[Values]:
    """Return every contrast of a study in units of its margin, positive meaning worse."""
    sign = 1 if findings.outcome.lower_is_better else -1
    rows = []
    for judged in in_order(findings):
        own = judged.verdict.interval
        if math.isfinite(own.low):
            ends = [round(value / findings.margin, 3) for value in (own.low, sign * judged.contrast.mean, own.high)]
            named = [label(findings.study, arm) for arm in (judged.arm, judged.against)]
            rows.append(
                {"names": named, "at": ends, "kind": judged.verdict.kind.value, "primary": bool(judged.expects)}
            )
    return rows


def rounded(value: float, digits: int = DIGITS) -> float | None:
    """Return a value with as many significant digits as records have; None where it is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _contrast(findings: Findings, judged: Judged) -> Values:
    scale, contrast, kind = outcome_scale(findings), judged.contrast, judged.verdict.kind
    text = contrast.text
    shared = [rounded(scale.factor**2 * text.variance), rounded(text.df)] if text and text.variance else None
    row = {
        "arm": judged.arm,
        "label": CONTROLS.get(judged.arm) or label(findings.study, judged.arm),
        "against": judged.against,
        "changes": changed(findings, judged.arm),
        "n": contrast.n,
        "mean": rounded(scale.factor * contrast.mean),
        "sd": rounded(scale.factor * contrast.moderated_sd),
        "df": rounded(contrast.df),
        "kind": kind.value,
        "text": shared,
        "stopped": kind.value if kind in STOPPED else None,
        "expects": judged.expects.value if judged.expects else None,
        "finding": judged.finding.value if judged.finding else None,
        "made": word_of(findings, judged.arm) or None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _values(findings: Findings, arm: str, scale: Scale) -> dict[str, float | None]:
    return {
        str(seed): rounded(scale.factor * value, 5)
        for seed, value in outcomes(findings.record, findings.study, arm).items()
    }


def _costs(findings: Findings, arm: str) -> list[float | None]:
    """Return the tokens, FLOPs and seconds of an arm's runs, medians."""
    runs = findings.record.arm(arm)
    return [rounded(float(runs[name].median()), 4) if name in runs else None for name in COSTS]


def _curves(findings: Findings, metric: str) -> Values:
    """Return a metric along the runs: whole numbers, to be divided by 10 ** digits."""
    scale, arms = scale_of(metric), {}
    digits = 2 if scale.factor > 1 else 3
    for arm in findings.study.arms:
        curve = _thinned(curve_of(findings, arm, metric))
        numbers = np.rint(scale.factor * curve.to_numpy() * 10**digits).astype(int)
        arms[arm] = {"tokens": [int(tokens) for tokens in curve.columns], "seeds": numbers.tolist()}
    shared = arms[findings.study.baseline]["tokens"]
    arms = {arm: {"seeds": own["seeds"]} if own["tokens"] == shared else own for arm, own in arms.items()}
    lower = outcome_of(metric).lower_is_better
    return {"metric": metric, "unit": scale.unit, "digits": digits, "lower": lower, "tokens": shared, "arms": arms}


def _thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """Keep the first point, the last, and those nearest to even steps of ln(tokens) between them."""
    if curve.shape[1] <= POINTS:
        return curve
    at = np.log(np.array([int(tokens) for tokens in curve.columns], dtype=float))
    steps: Sequence[float] = np.linspace(at[0], at[-1], POINTS).tolist()
    return curve.iloc[:, sorted({int(np.abs(at - step).argmin()) for step in steps})]


def _ladder(ladder: Ladder) -> Values:
    """Return the effects at every rung in ln token multipliers, what was predicted, and the line with its band."""
    arms = {}
    for arm, rungs in ladder.arms.items():
        if rungs:
            points = [[name, rounded(rung.compute), *_ends(rung.interval())] for name, rung in rungs.items()]
            arms[arm] = {
                "label": label(ladder.study, arm),
                "trend": trend(ladder, arm),
                "rungs": points,
                "band": _band(ladder, arm),
            }
    predicted = [
        [each.arm, each.rung, rounded(each.compute), *map(rounded, (each.mean, each.low, each.high))]
        for each in ladder.predictions
    ]
    return {"arms": arms, "predicted": predicted}


def _band(ladder: Ladder, arm: str) -> list[list[float | None]]:
    """Return the line through an arm's rungs with its 80 % band; of two rungs alone no band is worth drawing."""
    line, rungs = ladder.line(arm), [*ladder.arms[arm].values()]
    if not line or len(rungs) <= FEWEST:
        return []
    computes = np.geomspace(min(rung.compute for rung in rungs), 4 * max(rung.compute for rung in rungs), 12)
    return [
        [rounded(compute, 4), *_ends(line.predicted(float(compute), rungs[-1].se, PREDICTED))]
        for compute in computes.tolist()
    ]


def _ends(interval: Interval) -> list[float | None]:
    return [rounded(value, 4) for value in (interval.mean, interval.low, interval.high)]
