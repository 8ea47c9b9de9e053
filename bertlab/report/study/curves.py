"""Curves of a study: a metric during the runs of an arm, and its difference from the baseline by seed.

Enters: `Findings`. Leaves: tables with one row per seed and one column per number of tokens, and simultaneous bands.
"""

import numpy as np
import pandas as pd

from bertlab.stats.band import Band, simultaneous
from bertlab.streams import Streams
from bertlab.study.judge import Findings, aligned
from bertlab.study.outcome import curve_name

LEVEL = 0.90
LOSS = "eval/mlm_loss"
TOLD_BY_THE_LOSS = ("eval/mlm_accuracy", "eval/context_gain", "eval/captured")


def curve_metrics(findings: Findings) -> list[str]:
    """Return the metrics with figures: the outcome, the loss behind [MASK], other informative ones."""
    others = [metric for metric in findings.study.secondary if metric not in TOLD_BY_THE_LOSS]
    wanted = dict.fromkeys(map(curve_name, [findings.study.outcome, LOSS, *others]))
    return [metric for metric in wanted if curve_of(findings, findings.study.baseline, metric).shape[1] > 1]


def curve_of(findings: Findings, arm: str, metric: str) -> pd.DataFrame:
    """Return a metric during the finished runs of an arm, without token 0: an axis of ln(tokens) has no zero."""
    curve = findings.record.curve(arm, metric)
    return curve[[tokens for tokens in curve.columns if int(tokens) > 0]]


def whole_curve(findings: Findings, arm: str, metric: str, finished: pd.DataFrame) -> pd.DataFrame:
    """Return a metric during all runs of an arm, at the tokens of the finished ones; NaN after divergence."""
    runs = findings.record.arm(arm)
    points = findings.record.curves
    points = points[(points["metric"] == curve_name(metric)) & points["run_id"].isin(list(runs["run_id"]))]
    wide = points.pivot_table(index="run_id", columns="tokens", values="value")
    tokens = list(finished.columns) or [tokens for tokens in wide.columns if int(tokens) > 0]
    return wide.reindex(index=list(runs["run_id"]), columns=tokens).set_axis(runs.index)


def distance(findings: Findings, arm: str, metric: str) -> pd.DataFrame:
    """Return an arm minus its comparison arm at their common tokens and seeds."""
    tokens, own, base = aligned(findings.record, arm, findings.study.reference(arm), metric)
    return (own - base)[[token for token in tokens if token > 0]]


def band_of(findings: Findings, arm: str, apart: pd.DataFrame) -> Band | None:
    """Return the simultaneous band around an arm's difference; None below three seeds."""
    if len(apart) < 3 or not np.isfinite(apart.to_numpy()).all():
        return None
    return simultaneous(apart.to_numpy(), Streams(0).generator(f"band/{findings.study.id}/{arm}"), LEVEL)
