"""Onsets of a study's runs, and the parts of its differences.

Enters: `Findings` of a loss with curves of context gain. Leaves: the onset of every run in ln tokens, and the parts of
each arm's difference (bertlab/stats/onset.py). An onset is interpolated between two evaluations; their distance limits
its precision.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from bertlab.stats.interval import Interval
from bertlab.stats.onset import Parts, Run, Slope, at_equal_age, common_slope, decompose, onsets
from bertlab.study.contrasts import outcomes
from bertlab.study.judge import GAIN, Findings

ONSET = "eval/onset"
LOSSES = ("eval/mlm_loss", "eval/final_loss", "eval/pseudo_loss")  # outcomes that fall when a run leaves the plateau


@dataclass(frozen=True)
class Started:
    """Onsets of a study. `starts`: ln tokens by arm and seed; infinite for runs that stayed on the plateau."""

    slope: Slope
    parts: dict[str, Parts]
    # difference of curves aligned at their onsets, if all runs of both arms left the plateau
    aligned: dict[str, Interval]
    starts: dict[str, "pd.Series[float]"]


def starts_of(findings: Findings, arm: str) -> "pd.Series[float]":
    """Return the onset of an arm's finished runs in ln tokens by seed; infinite for runs that stayed on the plateau."""
    gain = findings.record.curve(arm, GAIN)
    gain = gain[[tokens for tokens in gain.columns if int(tokens) > 0]]
    if gain.shape[1] < 2 or gain.empty:
        return pd.Series(dtype=float)
    found = onsets(list(gain.columns), gain.to_numpy(), findings.study.floor)
    return pd.Series(np.log(found.tokens), index=gain.index)


def onsets_of(curves: pd.DataFrame, floor: float) -> dict[str, float]:
    """Return `eval/onset` of every run with a context-gain curve: ln tokens at which it first passes the floor.

    A run that stays on the plateau gets the ln tokens of its last evaluation, a lower bound, not a missing value.
    """
    gain = curves[(curves["metric"] == GAIN) & (curves["tokens"] > 0)].sort_values("tokens")
    found = {}
    for run, points in gain.groupby("run_id"):
        if len(points) > 1:
            tokens = points["tokens"].astype(float).to_numpy()
            (start,) = onsets(tokens, points["value"].to_numpy(), floor).tokens
            found[str(run)] = math.log(min(start, float(tokens[-1])))
    return found


@lru_cache(maxsize=1)  # several sections of a page need it
def started(findings: Findings) -> Started | None:
    """Return the decomposition of a study of a loss; None for other outcomes and insufficient curves or onsets."""
    study = findings.study
    if study.outcome not in LOSSES or GAIN not in set(findings.record.curves["metric"]):
        return None
    starts = {arm: starts_of(findings, arm) for arm in study.arms}
    runs = [run for arm in study.arms for run in _runs(findings, arm, starts[arm])]
    pairs = {arm: study.reference(arm) for arm in study.arms if arm != study.baseline}
    try:
        slope, parts = common_slope(runs), decompose(runs, pairs)
    except ValueError:  # only one arm left the plateau, or all runs did between the same two evaluations
        return None
    if not parts:
        return None
    return Started(slope, parts, {arm: own for arm in parts if (own := _aligned(findings, arm, starts))}, starts)


def _runs(findings: Findings, arm: str, starts: "pd.Series[float]") -> list[Run]:
    ends = outcomes(findings.record, findings.study, arm)
    gain = findings.record.curve(arm, GAIN)
    last = math.log(max(map(int, gain.columns))) if gain.shape[1] else math.nan
    return [
        Run(arm, seed, float(ends[seed]), min(float(starts[seed]), last), math.isinf(starts[seed]))
        for seed in map(int, starts.index)
        if seed in ends.index
    ]


def _aligned(findings: Findings, arm: str, starts: dict[str, "pd.Series[float]"]) -> Interval | None:
    """Return the difference of aligned curves; None if a run stayed on the plateau or curves have different points."""
    reference = findings.study.reference(arm)
    own, base = (findings.record.curve(each, findings.study.outcome) for each in (arm, reference))
    seeds = own.index.intersection(base.index)
    tokens = [token for token in own.columns.intersection(base.columns) if int(token) > 0]
    if len(seeds) < 3 or len(tokens) < 2 or not all(set(seeds) <= set(starts[each].index) for each in (arm, reference)):
        return None
    mine, its = (starts[each][seeds].to_numpy() for each in (arm, reference))
    if not (np.isfinite(mine).all() and np.isfinite(its).all()):
        return None
    return at_equal_age(tokens, own.loc[seeds, tokens].to_numpy(), base.loc[seeds, tokens].to_numpy(), (mine, its))
