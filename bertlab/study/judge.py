"""Judging a study: its record -> what was found. The one place where numbers become verdicts; reports only tell them.

A contrast pairs an arm with the baseline on the seeds that both have, up to the last look that the arm was followed to.
Verdicts of the primary contrasts share one error probability (Holm over the study's primaries, and each one's part of
it over the looks); every other arm is shown with its interval and without a verdict.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from bertlab.stats.claim import Expectation, Finding, claim_p, decides, finding, study_finding
from bertlab.stats.contrast import Contrast, Pool, contrast, pool
from bertlab.stats.futility import HOPELESS, decision_chance
from bertlab.stats.interval import Interval
from bertlab.stats.looks import interval_level, overall_p
from bertlab.stats.multiple import holm
from bertlab.stats.rule import Kind, settled
from bertlab.stats.verdict import Standing, Verdict, turned, vacuity
from bertlab.stats.verdict import judge as judge_interval
from bertlab.study.design import Study
from bertlab.study.outcome import Outcome, outcome_of
from bertlab.study.record import HARMFUL, PLANNED, SAME, Record

GAIN = "eval/context_gain"
MUST_AGREE = {"code": "code", "corpus": "corpus", "evaluation": "evaluation"}  # column -> what it is called
LEVEL = 0.90  # of the interval of a single test at .05 on each side


@dataclass(frozen=True)
class Judged:
    """One arm against another: the baseline, unless the study says otherwise.

    `interval` is the one that the verdict was read from, not turned.

    `expects` and `finding` are None for arms that the claim does not speak of; those are exploratory: their interval
    has no correction for the number of arms, and their verdict, kept for the reader's eye, decides nothing.
    """

    arm: str
    against: str
    contrast: Contrast
    interval: Interval
    verdict: Verdict
    worth: float  # share of training tokens that the difference is worth, negative where the arm is behind; or NaN
    expects: Expectation | None = None
    finding: Finding | None = None
    p: float = math.nan  # of the claim, over all looks; what a family is corrected with


@dataclass(frozen=True)
class Findings:
    """What a study found. Margins and slopes are in units of the outcome, slopes per ln(tokens) of the baseline."""

    record: Record
    study: Study
    outcome: Outcome
    margin: float
    slope: float
    gain: float  # nats of context gain of the baseline, mean over seeds; NaN where none was measured
    soundness: tuple[str, ...]  # reasons why the study could not have seen a difference
    controls: Mapping[str, Judged]
    arms: Mapping[str, Judged]

    @cached_property
    def primary(self) -> dict[str, Judged]:
        """The arms that the claim speaks of."""
        return {name: judged for name, judged in self.arms.items() if judged.expects}

    @property
    def finding(self) -> Finding:
        """What became of the claim."""
        return study_finding(judged.finding for judged in self.primary.values() if judged.finding)

    @property
    def seeds(self) -> int:
        """Seeds of the baseline."""
        return len(self.record.arm(self.study.baseline))

    @property
    def on_plateau(self) -> bool:
        """Whether the baseline makes too little of context for any arm to show a difference."""
        return not self.gain > self.study.floor

    def open_arms(self, rng: np.random.Generator) -> list[str]:
        """Return the arms to follow to the next look; none when nothing is left to decide.

        A primary arm is done when its verdict decides the claim, or when it has little chance to at the last look.
        The other arms go on as long as any primary one does.
        """
        last = self.study.looks[-1]
        going = [name for name, judged in self.primary.items() if self._is_open(judged, last, rng)]
        exploratory = [name for name in self.arms if name not in self.primary]
        references = [self.study.against[name] for name in going if name in self.study.against]
        return list(dict.fromkeys([*going, *references, *exploratory])) if going else []

    def _is_open(self, judged: Judged, last: int, rng: np.random.Generator) -> bool:
        assert judged.expects is not None
        n, kind = judged.contrast.n, judged.verdict.kind
        if self.on_plateau or kind in (Kind.INVALID, Kind.UNSTABLE) or not 2 <= n < last:
            return False
        if judged.finding is not Finding.UNDECIDED:
            return False
        sign = 1 if self.outcome.lower_is_better else -1
        differences = sign * np.array(judged.contrast.differences)
        level = judged.interval.level
        return decision_chance(differences, last, self.margin, level, rng, decides(judged.expects)) >= HOPELESS


def judge(record: Record) -> Findings:
    """Return what a canonical record shows. Deterministic: equal records, equal findings."""
    study, outcome = record.study, outcome_of(record.study.outcome)
    margin, slope = float(record.facts["margin"]), float(record.facts["slope"])
    judging = _Judging(record, study, outcome, margin, slope)
    controls = {name: judging.alone(name) for name in (SAME, HARMFUL)}
    gain = float(record.arm(study.baseline).get(GAIN, pd.Series(dtype=float)).mean())
    kinds = {name: judged.verdict.kind for name, judged in controls.items()}
    soundness = vacuity(gain, study.floor, kinds[HARMFUL], kinds[SAME])
    arms = judging.together(soundness)
    return Findings(record, study, outcome, margin, slope, gain, soundness, controls, arms)


def not_sound_before(findings: Findings) -> dict[int, tuple[str, ...]]:
    """Return the looks before the last one at which the study was not sound, and why: there it judged nothing."""
    record, study = findings.record, findings.study
    compared = record.runs["arm"].isin([*study.arms, *study.controls])
    found = {}
    for look in study.looks:
        if look < findings.seeds:
            runs = record.runs[~compared | (record.runs["seed"] < look)]
            early = replace(record, runs=runs, facts={**record.facts, PLANNED: ""})
            found[look] = judge(early).soundness
    return {look: reasons for look, reasons in found.items() if reasons}


@dataclass(frozen=True)
class _Judging:
    record: Record
    study: Study
    outcome: Outcome
    margin: float
    slope: float

    def together(self, soundness: tuple[str, ...]) -> dict[str, Judged]:
        """Judge all arms, the primary ones as a family."""
        arms = [name for name in self.study.arms if name != self.study.baseline]
        contrasts = {name: self._contrast(name, self._pool(name)) for name in arms}
        levels = self._levels({name: contrasts[name] for name in self.study.expects})
        judged = {}
        for name, paired in contrasts.items():
            level, p = levels.get(name, (LEVEL, math.nan))
            expects = self.study.expects.get(name)
            one = self._judge(name, paired, level, replace(self._standing(name), vacuous=soundness))
            low = one.verdict.interval.low
            found = finding(expects, one.verdict.kind, low, self.margin) if expects else None
            judged[name] = replace(one, expects=expects, finding=found, p=p)
        return judged

    def alone(self, control: str) -> Judged:
        """Judge a control: one contrast at the usual level."""
        return self._judge(control, self._contrast(control, None), LEVEL, self._standing(control))

    def _judge(self, name: str, paired: Contrast, level: float, standing: Standing) -> Judged:
        interval = paired.decision(level)
        better = self.outcome.lower_is_better
        aims = decides(self.study.expects[name]) if name in self.study.expects else settled
        verdict = judge_interval(interval, self.margin, standing, lower_is_better=better, decides=aims)
        gained = -paired.mean if better else paired.mean
        # exp ends at about 700: a flat baseline needs no more tokens than that says
        worth = math.expm1(min(gained / abs(self.slope), 700.0)) if self.slope else math.nan
        return Judged(name, self.study.reference(name), paired, interval, verdict, worth)

    def _levels(self, primary: Mapping[str, Contrast]) -> dict[str, tuple[float, float]]:
        """Return for each primary arm the level of its interval and the p of its claim over all looks."""
        looks, p = self.study.looks, {}
        for name, paired in primary.items():
            interval = paired.decision(LEVEL)
            oriented = interval if self.outcome.lower_is_better else turned(interval)
            known = interval.df > 0
            p[name] = overall_p(claim_p(self.study.expects[name], oriented, self.margin), looks) if known else 1.0
        corrected = holm(list(p.values()))
        return {name: (interval_level(looks, alpha), p[name]) for name, alpha in zip(p, corrected.alphas, strict=True)}

    def _contrast(self, name: str, shared: Pool | None) -> Contrast:
        arm, reference = (self._finished(each) for each in (name, self.study.reference(name)))
        seeds = arm.index.intersection(reference.index)
        return contrast(arm[seeds], reference[seeds], shared)

    def _pool(self, name: str) -> Pool | None:
        """Return the spread that arms share on this one's seeds; None for a single arm or too few seeds."""
        baseline = self._finished(self.study.baseline)
        seeds = self._finished(name).index.intersection(baseline.index)
        arms = [self._finished(arm) for arm in self.study.arms if arm != self.study.baseline]
        complete = [arm[seeds] for arm in arms if seeds.isin(arm.index).all()]
        return pool([baseline[seeds], *complete]) if len(complete) > 1 and len(seeds) > 1 else None

    def _finished(self, name: str) -> "pd.Series[float]":
        runs = self.record.arm(name)
        if self.study.outcome not in runs:
            return pd.Series(dtype=float)
        return runs.loc[~runs["diverged"], self.study.outcome].dropna()

    def _standing(self, name: str) -> Standing:
        reference = self.study.reference(name)
        own, its = self.record.arm(name), self.record.arm(reference)
        return Standing(
            invalid=(*self._missing(reference, its), *self._missing(name, own), *self._unlike(name, reference)),
            diverged=int(own["diverged"].sum()),
            diverged_baseline=int(its["diverged"].sum()),
        )

    def _missing(self, name: str, runs: pd.DataFrame) -> tuple[str, ...]:
        """Say which planned runs are not there.

        Where the record does not say how many there were to be, an arm was planned to the look of its last seed.
        """
        last = max(runs.index, default=0)
        looked = next((look for look in self.study.looks if look > last), last + 1)
        planned = self.record.planned.get(name, looked)
        outcome = runs.get(self.study.outcome, pd.Series(math.nan, runs.index))
        unmeasured = set(runs.index[outcome.isna() & ~runs["diverged"]])
        gone = sorted({*range(planned)} - set(runs.index) | unmeasured)
        return (f"{name} has no result for seed {', '.join(map(str, gone))}",) if gone else ()

    def _unlike(self, name: str, reference: str) -> tuple[str, ...]:
        """Say what differs between the runs of two arms that must not."""
        runs = pd.concat([self.record.arm(name), self.record.arm(reference)])
        return tuple(
            f"{name} and {reference} differ in {what}"
            for column, what in MUST_AGREE.items()
            if len(set(runs[column])) > 1
        )


def aligned(record: Record, name: str, baseline: str, metric: str) -> tuple[Sequence[int], pd.DataFrame, pd.DataFrame]:
    """Return the curves of an arm and the baseline at the tokens and on the seeds that both have."""
    arm, base = record.curve(name, metric), record.curve(baseline, metric)
    seeds, tokens = arm.index.intersection(base.index), arm.columns.intersection(base.columns)
    return [int(token) for token in tokens], arm.loc[seeds, tokens], base.loc[seeds, tokens]
