"""Judging a study: record -> findings. Only this module makes verdicts from numbers; reports print them.

A contrast pairs an arm with the baseline on their common seeds, up to the arm's last look. Every primary arm is judged
at the study's level, with the error probability spread over the looks: so one contrast has the same interval in all
studies. Refutations are corrected for the number of primary arms (bertlab/stats/claim.py). Other arms are shown with
their intervals and without a verdict.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from bertlab.evaluation.measures import Measure
from bertlab.stats.bank import bank_noise
from bertlab.stats.claim import (
    Expectation,
    Finding,
    claim_p,
    decides,
    findings,
    stands_beyond,
    study_finding,
    study_p,
)
from bertlab.stats.contrast import Contrast
from bertlab.stats.futility import HOPELESS, decision_chance
from bertlab.stats.interval import Interval, together
from bertlab.stats.looks import interval_level, overall_p
from bertlab.stats.rule import AT_THE_MARGIN, Kind, one_of, settled
from bertlab.stats.verdict import NOT_COMPARED, Standing, Verdict, vacuity
from bertlab.stats.verdict import judge as judge_interval
from bertlab.study.contrasts import contrast_of, outcomes, standing_of
from bertlab.study.design import Study
from bertlab.study.outcome import outcome_of
from bertlab.study.record import HARMFUL, SAME, Record

GAIN = "eval/context_gain"
LEVEL = 0.90  # confidence level of a single test at .05 on each side


@dataclass(frozen=True)
class Judged:
    """One arm against another: the baseline, unless the study names another.

    `interval` is the interval of the verdict, with its original sign. `support` and `refutation` are the p-values of
    the claim about this arm, over all looks, before correction for other arms; 1 if nothing may be concluded.

    `expects` and `finding` are None for exploratory arms, which the claim does not mention. Their verdict is for
    information only.
    """

    arm: str
    against: str
    contrast: Contrast
    interval: Interval
    verdict: Verdict
    worth: float  # the difference as a share of training tokens, negative if the arm is worse; or NaN
    expects: Expectation | None = None
    finding: Finding | None = None
    support: float = 1.0
    refutation: float = 1.0
    held: bool = False  # the finding was withdrawn because the A/A control was not equivalent


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """The result of a study. Margins and slopes are in units of the outcome, slopes per ln(tokens) of the baseline."""

    record: Record
    study: Study
    outcome: Measure
    margin: float
    slope: float
    gain: float  # context gain of the baseline in nats, mean over seeds; NaN if not measured
    soundness: tuple[str, ...]  # reasons why the study could not have seen a difference
    controls: Mapping[str, Judged]
    arms: Mapping[str, Judged]
    known: tuple[int, int] | None = None  # known answers that its regime gives, of those asked; None: not asked

    @cached_property
    def primary(self) -> dict[str, Judged]:
        """The arms that the claim mentions."""
        return {name: judged for name, judged in self.arms.items() if judged.expects}

    @property
    def finding(self) -> Finding:
        """The status of the claim."""
        return study_finding(judged.finding for judged in self.primary.values() if judged.finding)

    @property
    def p(self) -> float:
        """p-value of the claim's status, doubled because two decisions are possible (`study_p`)."""
        arms = self.primary.values()
        return study_p([judged.support for judged in arms], [judged.refutation for judged in arms], self.finding)

    @property
    def coarse(self) -> bool:
        """Whether the baseline was not shown to be equivalent to itself."""
        return self.controls[SAME].verdict.kind is not Kind.EQUIVALENT

    @property
    def seeds(self) -> int:
        """Seeds of the baseline."""
        return len(self.record.arm(self.study.baseline))

    @property
    def on_plateau(self) -> bool:
        """Whether the baseline gains too little from context for any arm to show a difference."""
        return not self.gain > self.study.floor

    def open_arms(self, rng: np.random.Generator) -> list[str]:
        """Return the arms to run up to the next look; none if nothing is undecided.

        A primary arm is done if it decides the claim, if its difference is as large as the margin, or if it has little
        chance to decide at the last look. The other arms continue as long as any primary arm does.
        """
        # primary arms that may still decide, their comparison arms, then all exploratory arms
        last = self.study.looks[-1]
        going = [name for name, judged in self.primary.items() if self._is_open(judged, last, rng)]
        exploratory = [name for name in self.arms if name not in self.primary]
        references = [self.study.against[name] for name in going if name in self.study.against]
        return list(dict.fromkeys([*going, *references, *exploratory])) if going else []

    def _is_open(self, judged: Judged, last: int, rng: np.random.Generator) -> bool:
        assert judged.expects is not None
        # closed: invalid, as large as the margin, decided, or at the last look
        n, kind = judged.contrast.n, judged.verdict.kind
        over = kind in (Kind.INVALID, Kind.UNSTABLE) or kind in AT_THE_MARGIN
        if self.on_plateau or over or judged.finding is not Finding.UNDECIDED or not 2 <= n < last:
            return False
        # open if the chance of a decision at the last look is not hopeless
        sign = 1 if self.outcome.lower_is_better else -1
        differences, aims = sign * np.array(judged.contrast.differences), decides(judged.expects)
        level, shared = judged.interval.level, judged.interval.shared
        if self.study.bank:
            bank = outcomes(self.record, self.study, self.study.baseline)
            shared = together(shared, bank_noise(bank, self.study.prior))
        chance = decision_chance(differences, last, self.margin, level, rng, aims, self.study.prior, shared)
        return chance >= HOPELESS


def judge(record: Record, *, counting: bool = True) -> Findings:
    """Return the findings of a canonical record.

    `counting`: also estimate how many seeds undecided contrasts need; this takes most of the time. Deterministic: equal
    records give equal findings.
    """
    study = record.study
    if study.explores:
        return explore(record)
    # numbers first: contrasts and checks of every arm and control
    names = [name for name in (*study.arms, SAME, HARMFUL) if name != study.baseline]
    contrasts = {name: contrast_of(record, study, name) for name in names}
    standings = {name: standing_of(record, study, name) for name in names}
    gain = float(record.arm(study.baseline).get(GAIN, pd.Series(dtype=float)).mean())
    known = record.frozen
    return _Judging(record, contrasts, standings, known.margin, known.slope, gain, counting).findings()


def explore(record: Record) -> Findings:
    """Return the contrasts of a sweep with their intervals. Its margin is zero, and it has no verdicts."""
    study, arms = record.study, {}
    for name in (name for name in study.arms if name != study.baseline):
        found = contrast_of(record, study, name)
        interval, standing = found.interval(LEVEL), standing_of(record, study, name)
        verdict = Verdict(Kind.INCONCLUSIVE, interval, 0.0, replace(standing, invalid=()))
        arms[name] = Judged(name, study.baseline, found, interval, verdict, math.nan)
    gain = float(record.arm(study.baseline).get(GAIN, pd.Series(dtype=float)).mean())
    return Findings(
        record=record,
        study=study,
        outcome=outcome_of(study.outcome),
        margin=0.0,
        slope=math.nan,
        gain=gain,
        soundness=(),
        controls={},
        arms=arms,
    )


def at_margin(found: Findings, margin: float) -> Findings:
    """Return the findings of the same numbers at another margin, without the number of seeds needed."""
    contrasts = {name: judged.contrast for name, judged in {**found.arms, **found.controls}.items()}
    return _again(found, contrasts, margin)


def without_seed(found: Findings, seed: int) -> Findings:
    """Return the findings of the same arms without one seed, without the number of seeds needed."""
    names = [*found.arms, *found.controls]
    return _again(found, {name: contrast_of(found.record, found.study, name, seed) for name in names}, found.margin)


def _again(found: Findings, contrasts: Mapping[str, Contrast], margin: float) -> Findings:
    every = {**found.arms, **found.controls}
    standings = {name: replace(judged.verdict.standing, vacuous=()) for name, judged in every.items()}
    judging = _Judging(found.record, contrasts, standings, margin, found.slope, found.gain, counting=False)
    return judging.findings()


def not_sound_before(findings: Findings) -> dict[int, tuple[str, ...]]:
    """Return the earlier looks at which the validity checks failed, with the reasons; nothing was judged there."""
    record, study = findings.record, findings.study
    # judge each earlier look with only the runs that existed then
    bank = [study.baseline] if study.bank else []
    compared = record.runs["arm"].isin([each for each in (*study.arms, *study.controls) if each not in bank])
    found = {}
    for look in study.looks:
        if look < findings.seeds:
            runs = record.runs[~compared | (record.runs["seed"] < look)]
            early = replace(record, runs=runs, planned={})
            found[look] = judge(early).soundness
    return {look: reasons for look, reasons in found.items() if reasons}


@dataclass(frozen=True)
class _Judging:
    record: Record
    contrasts: Mapping[str, Contrast]
    standings: Mapping[str, Standing]
    margin: float
    slope: float
    gain: float
    counting: bool = True  # whether undecided verdicts state how many seeds they need

    @cached_property
    def study(self) -> Study:
        return self.record.study

    @cached_property
    def outcome(self) -> Measure:
        return outcome_of(self.study.outcome)

    def findings(self) -> Findings:
        """Judge the controls, each alone at the usual level, then all arms; primary arms by the claim."""
        # controls decide whether the study is valid at all
        controls = {name: self._judge(name, ()) for name in (SAME, HARMFUL)}
        kinds = [controls[name].verdict.kind for name in (HARMFUL, SAME)]
        soundness = vacuity(self.gain, self.study.floor, *kinds)
        arms = {name: self._judge(name, soundness) for name in self.contrasts if name not in controls}
        # then the claim: corrected over primary arms, checked against the A/A control
        primary = [arms[name] for name in self.study.expects]
        for judged, finding, held in self._concluded(primary, controls[SAME].verdict):
            arms[judged.arm] = replace(judged, finding=finding, held=held)
        return Findings(
            record=self.record,
            study=self.study,
            outcome=self.outcome,
            margin=self.margin,
            slope=self.slope,
            gain=self.gain,
            soundness=soundness,
            controls=controls,
            arms=arms,
        )

    def _judge(self, name: str, soundness: tuple[str, ...]) -> Judged:
        # primary arms: level of the looks; others: a single test
        expects, contrast = self.study.expects.get(name), self.contrasts[name]
        interval = contrast.interval(interval_level(self.study.looks) if expects else LEVEL)
        better, aims = self.outcome.lower_is_better, decides(expects) if expects else settled
        verdict = judge_interval(
            interval,
            self.margin,
            replace(self.standings[name], vacuous=soundness),
            lower_is_better=better,
            decides=aims if self.counting else one_of(list(Kind)),
            prior=self.study.prior,
        )
        gained = -contrast.mean if better else contrast.mean
        # exp overflows above about 700; more tokens than that means a flat baseline
        worth = math.expm1(min(gained / abs(self.slope), 700.0)) if self.slope else math.nan
        return Judged(name, self.study.reference(name), contrast, interval, verdict, worth, expects)

    def _concluded(self, primary: Sequence[Judged], ruler: Verdict) -> list[tuple[Judged, Finding, bool]]:
        """Return the arms with p-values, their findings, and whether the A/A control withdrew a finding."""
        # p-values; an A/A control that is not equivalent removes those within its own difference
        tested = [self._tested(judged) for judged in primary]
        ruled = tested if ruler.kind is Kind.EQUIVALENT else [_ruled(judged, ruler) for judged in tested]
        before, after = _findings(tested), _findings(ruled)
        return [(judged, now, now is not was) for judged, was, now in zip(ruled, before, after, strict=True)]

    def _tested(self, judged: Judged) -> Judged:
        assert judged.expects is not None
        if judged.verdict.kind in NOT_COMPARED:
            return judged
        # the larger p of those with and without the noise of the text, as the interval is the wider one
        both = claim_p(judged.expects, judged.verdict.interval.mean, *judged.contrast.errors, self.margin)
        support, refutation = (overall_p(float(p_K.max()), self.study.looks) for p_K in both)
        return replace(judged, support=support, refutation=refutation)


def _ruled(judged: Judged, ruler: Verdict) -> Judged:
    """Return the arm with only the p-values that remain valid after an A/A control that was not EQUIVALENT."""
    assert judged.expects is not None
    # does the arm's interval lie beyond the control's interval?
    own, same = judged.verdict.interval, ruler.interval
    supports, refutes = (
        stands_beyond(judged.expects, found, (own.low, own.high), (same.low, same.high))
        for found in (Finding.SUPPORTED, Finding.REFUTED)
    )
    return replace(
        judged, support=judged.support if supports else 1.0, refutation=judged.refutation if refutes else 1.0
    )


def _findings(primary: Sequence[Judged]) -> list[Finding]:
    return findings([judged.support for judged in primary], [judged.refutation for judged in primary])


def aligned(record: Record, name: str, baseline: str, metric: str) -> tuple[Sequence[int], pd.DataFrame, pd.DataFrame]:
    """Return the curves of an arm and the baseline at their common tokens and seeds."""
    arm, base = record.curve(name, metric), record.curve(baseline, metric)
    seeds, tokens = arm.index.intersection(base.index), arm.columns.intersection(base.columns)
    return [int(token) for token in tokens], arm.loc[seeds, tokens], base.loc[seeds, tokens]
