"""Onsets of a study's runs, and the parts of its differences.

Enters: `Findings` of a loss with curves of context gain. Leaves: the onset of every run in ln tokens, the parts of each
arm's difference (bertlab/stats/onset.py), and a few words on it. An onset is interpolated between two evaluations;
their distance limits its precision. A run that had left the plateau by its first evaluation, and one that never left
it, have a bound instead.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from bertlab.stats.interval import Interval, paired_t
from bertlab.stats.onset import (
    LEVEL,
    TOO_FEW,
    Parts,
    Run,
    Slope,
    aligned_word,
    at_equal_age,
    common_slope,
    decompose,
    onsets,
)
from bertlab.study.contrasts import outcomes
from bertlab.study.judge import GAIN, Findings

ONSET = "eval/onset"
LOSSES = ("eval/mlm_loss", "eval/final_loss", "eval/pseudo_loss")  # outcomes that fall when a run leaves the plateau
EARLY = "started before the first evaluation"
NO_CONTEXT, NEVER, NEITHER = "worse than no context", "never started", "neither started"
REFERENCE_NEVER = "the other arm never started"


@dataclass(frozen=True, eq=False)
class Onsets:
    """When an arm's finished runs left the plateau.

    `starts`: ln tokens by seed; infinite for a run that never left, an upper bound for an `early` one, which had left
    by its first evaluation. `misled`: number of runs that ended worse than word frequencies by more than the floor.
    """

    starts: "pd.Series[float]"
    early: "pd.Series[bool]"
    misled: int = 0

    @property
    def n(self) -> int:
        """Number of runs."""
        return len(self.starts)

    @property
    def never(self) -> int:
        """Number of runs that never left."""
        return int(np.isinf(self.starts.to_numpy()).sum())

    @property
    def before(self) -> int:
        """Number of runs that had left by their first evaluation."""
        return int(self.early.sum())

    @property
    def median(self) -> float:
        """Median in ln tokens: infinite if `is_unstarted`, an upper bound if `is_bound`, NaN without runs."""
        return float(self.starts.median()) if self.n else math.nan

    @property
    def is_unstarted(self) -> bool:
        """Whether half of the runs or more never left."""
        return self.n > 0 and 2 * self.never >= self.n

    @property
    def is_bound(self) -> bool:
        """Whether half of the runs or more had left by their first evaluation."""
        return self.n > 0 and 2 * self.before >= self.n

    @property
    def is_misled(self) -> bool:
        """Whether most runs that never left ended worse than word frequencies: they learned what fails them here."""
        return 2 * self.misled > self.never


@dataclass(frozen=True)
class Started:
    """Onsets of a study, and what its differences are made of.

    `slope` is None, and `parts` is empty, if the runs leave too few degrees of freedom. `totals`: paired differences
    with a 90 % interval, of arms with three pairs or more. `words`: for each arm, a few words.
    """

    slope: Slope | None
    totals: dict[str, Interval]
    parts: dict[str, Parts]
    # difference of curves aligned at their onsets, if all runs of both arms left the plateau
    aligned: dict[str, Interval]
    onsets: dict[str, Onsets]
    words: dict[str, str]


def onsets_in(findings: Findings, arm: str) -> Onsets:
    """Return when the finished runs of an arm left the plateau; no runs without curves of two evaluations."""
    gain = findings.record.curve(arm, GAIN)
    gain = gain[[tokens for tokens in gain.columns if int(tokens) > 0]]
    if gain.shape[1] < 2 or gain.empty:
        return Onsets(pd.Series(dtype=float), pd.Series(dtype=bool))
    floor = findings.study.floor
    found = onsets(list(gain.columns), gain.to_numpy(), floor)
    starts = pd.Series(np.log(found.tokens), index=gain.index)
    misled = np.isinf(starts) & (gain.iloc[:, -1] < -floor)
    return Onsets(starts, pd.Series(found.early, index=gain.index), int(misled.sum()))


def starts_of(findings: Findings, arm: str) -> "pd.Series[float]":
    """Return the onset of an arm's finished runs in ln tokens by seed, as `Onsets.starts` has it."""
    return onsets_in(findings, arm).starts


def onsets_of(curves: pd.DataFrame, floor: float) -> dict[str, float]:
    """Return `eval/onset` of every run with a context-gain curve: ln tokens at which it first passes the floor.

    A run that stays on the plateau gets the ln tokens of its last evaluation, a lower bound, not a missing value; one
    that had left by its first evaluation gets those of the first, an upper bound.
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
    """Return what the differences of a study of a loss are made of.

    None for other outcomes, without curves, and if no run of any arm starts during its own training.
    """
    study = findings.study
    if study.outcome not in LOSSES or GAIN not in set(findings.record.curves["metric"]):
        return None
    found = {arm: onsets_in(findings, arm) for arm in study.arms}
    if not any(own.n > own.before for own in found.values()):
        return None
    runs = {arm: _runs(findings, arm, own) for arm, own in found.items()}
    pairs = {arm: study.reference(arm) for arm in study.arms if arm != study.baseline}
    slope, parts = _split([run for own in runs.values() for run in own], pairs)
    totals = {arm: total for arm, other in pairs.items() if (total := _total(runs[arm], runs[other]))}
    aligned = {arm: own for arm, other in pairs.items() if (own := _aligned(findings, arm, found[arm], found[other]))}
    words = {arm: _word(arm, found[arm], found[other], totals, parts, aligned) for arm, other in pairs.items()}
    return Started(slope, totals, parts, aligned, found, {arm: word for arm, word in words.items() if word})


def _split(runs: list[Run], pairs: dict[str, str]) -> tuple[Slope | None, dict[str, Parts]]:
    try:
        slope = common_slope(runs)
    except ValueError:  # only one arm left the plateau, or all runs did between the same two evaluations
        return None, {}
    return (slope, decompose(runs, pairs)) if slope.is_enough else (None, {})


def _runs(findings: Findings, arm: str, found: Onsets) -> list[Run]:
    ends = outcomes(findings.record, findings.study, arm)
    gain = findings.record.curve(arm, GAIN)
    last = math.log(max(map(int, gain.columns))) if gain.shape[1] else math.nan
    return [
        Run(arm, seed, float(ends[seed]), min(start, last), math.isinf(start), early)
        for seed, start, early in zip(map(int, found.starts.index), found.starts.tolist(), found.early, strict=True)
        if seed in ends.index
    ]


def _total(own: list[Run], base: list[Run]) -> Interval | None:
    """Return the paired difference of final outcomes; None for fewer than three pairs."""
    ends = {run.seed: run.outcome for run in base}
    apart = [run.outcome - ends[run.seed] for run in own if run.seed in ends]
    return paired_t(apart, LEVEL) if len(apart) >= 3 else None


def _word(
    arm: str,
    own: Onsets,
    base: Onsets,
    totals: dict[str, Interval],
    parts: dict[str, Parts],
    aligned: dict[str, Interval],
) -> str:
    """Describe an arm's difference: runs without a start first, then bounds, then its parts, then aligned curves."""
    if not own.n or not base.n:
        return ""
    if own.is_unstarted:
        word = NO_CONTEXT if own.is_misled else NEITHER if base.is_unstarted else NEVER
        return f"{word} ({own.never} of {own.n} runs)"
    if base.is_unstarted:
        return REFERENCE_NEVER
    if own.is_bound or base.is_bound:
        return EARLY
    if arm in parts:
        return parts[arm].word
    return aligned_word(totals[arm], aligned.get(arm)) if arm in totals else TOO_FEW


def _aligned(findings: Findings, arm: str, mine: Onsets, its: Onsets) -> Interval | None:
    """Return the difference of aligned curves.

    None if a run stayed on the plateau, half of an arm's onsets are bounds, or curves have different points.
    """
    reference = findings.study.reference(arm)
    own, base = (findings.record.curve(each, findings.study.outcome) for each in (arm, reference))
    seeds = own.index.intersection(base.index)
    tokens = [token for token in own.columns.intersection(base.columns) if int(token) > 0]
    if len(seeds) < 3 or len(tokens) < 2 or not all(set(seeds) <= set(each.starts.index) for each in (mine, its)):
        return None
    starts = mine.starts[seeds].to_numpy(), its.starts[seeds].to_numpy()
    if mine.is_bound or its.is_bound or not all(np.isfinite(each).all() for each in starts):
        return None
    return at_equal_age(tokens, own.loc[seeds, tokens].to_numpy(), base.loc[seeds, tokens].to_numpy(), starts)
