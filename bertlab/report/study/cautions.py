"""Cautions about a study: untuned learning rates, runs on the plateau, undecided claims, runs of another study."""

import math

import yaml

from bertlab.report.study.names import named
from bertlab.report.study.search import at_the_end
from bertlab.report.study.seeds import finished
from bertlab.report.study.verdict import UNJUDGED
from bertlab.report.words import count, listing, number, plural
from bertlab.stats.claim import Finding
from bertlab.stats.power import MOST
from bertlab.study.catalogue import study_files
from bertlab.study.factors import is_within
from bertlab.study.judge import GAIN, Findings

SHUFFLING_COST = "eval/shuffling_cost"
BOOKS, LADDER, RUNG = "_books", "_ladder", "study"  # names of studies with more arms at a rung of a ladder
ORDERLESS = 0.01  # share of the baseline's cost of random order; below it, a model does not use order


def untuned(findings: Findings) -> list[str]:
    """Describe whether other learning rates were tried, and how many."""
    search = findings.record.registered.search
    if search and search.setting == "optimizer.lr":
        ends = at_the_end(findings)
        return [
            f"**{count(len(search.values))} learning rates.** Each arm had the best of the same few, found on few "
            f"seeds; between them and beyond them one may be better.{f' {ends}' if ends else ''}"
        ]
    if is_within("optimizer.lr", findings.study.factors):
        return []
    return ["**One learning rate.** All arms were trained at the same one; each might do better with one of its own."]


def twice(findings: Findings) -> list[str]:
    """Name the ladder whose rung of the same regime compares the same arms: its runs are the same, from fewer seeds."""
    own, files = findings.record.registered, study_files()
    name = f"{own.id.removesuffix(BOOKS)}{LADDER}"
    if not own.id.endswith(BOOKS) or name not in files:
        return []
    there = yaml.safe_load(files[name].read_text("utf-8"))["study"]
    arms = {arm: tuple(overrides) for arm, overrides in there["arms"].items()}
    both = [arm for arm in own.arms if arms.get(arm) == own.arms[arm]]
    if there["baseline"] != own.baseline or own.baseline not in both or len(both) < 2:
        return []
    compared = listing(named(own, arm) for arm in both if arm != own.baseline)
    return [
        f"**Judged twice.** The rung *{RUNG}* of [{name}]({name}/{RUNG}.md) compares {compared} with the same baseline "
        "in the same regime. At the seeds that both have its runs are those of this page: the two are one piece of "
        "evidence."
    ]


def plateau(findings: Findings) -> list[str]:
    """Name the arms with runs that did not use context by the end of training."""
    floor = findings.study.floor
    return [
        f"**Still on the plateau.** Some runs gained no more than {number(floor, 2)} nats from context when training "
        f"ended: {arms}. Until a run leaves the plateau of word frequencies it hardly improves, so these "
        "differences are largely about when that happens. Longer training would tell whether they close."
        for arms in _by_gain(findings, -floor, floor)
    ]


def misled(findings: Findings) -> list[str]:
    """Name the arms with runs that are worse than word frequencies."""
    floor = findings.study.floor
    return [
        f"**Worse than no context.** Some runs ended more than {number(floor, 2)} nats above the loss of word "
        f"frequencies: {arms}. They have hardly been trained to name hidden words, or have learned something that "
        "fails them where they are judged; more of the same need not mend that."
        for arms in _by_gain(findings, -math.inf, -floor)
    ]


def orderless(findings: Findings) -> list[str]:
    """Name the arms that predict like a bag of words, if the baseline does not."""
    study = findings.study
    cost = {arm: finished(findings, arm, SHUFFLING_COST) for arm in study.arms}
    baseline = float(cost[study.baseline].mean())
    if not baseline > study.floor:
        return []
    blind = [arm for arm, costs in cost.items() if costs.size and costs.abs().max() < ORDERLESS * baseline]
    if not blind:
        return []
    names = listing((named(study, arm) for arm in blind), "or")
    return [
        "**Blind to order.** Putting all other words of a sequence in random order costs every run with "
        f"{names} less than {count(100 * ORDERLESS)} % of what it costs with {named(study, study.baseline)} "
        f"({number(baseline, 2)} nats): in naming hidden words nothing is made of their order there, whatever was "
        "given of it."
    ]


def _by_gain(findings: Findings, above: float, up_to: float) -> list[str]:
    """Return a text with the arms and numbers of runs whose last context gain is in a range; or nothing."""
    arms = []
    for arm in findings.study.arms:
        gain = finished(findings, arm, GAIN)
        if inside := int(((gain > above) & (gain <= up_to)).sum()):
            arms.append(f"{named(findings.study, arm)} ({count(inside)} of {count(len(gain))})")
    return [listing(arms)] if arms else []


def open_claims(findings: Findings) -> list[str]:
    """Describe for each undecided contrast how many seeds would decide it, if the results so far were true."""
    undecided = [
        judged
        for judged in findings.primary.values()
        if judged.finding is Finding.UNDECIDED and judged.verdict.kind not in UNJUDGED
    ]
    if not undecided:
        return []
    needs: dict[int | None, list[str]] = {}
    for judged in undecided:
        needs.setdefault(judged.verdict.needed, []).append(named(findings.study, judged.arm))
    parts = [f"{_seeds(needed)} for {listing(arms)}" for needed, arms in sorted(needs.items(), key=_by_need)]
    arms = [arm for group in needs.values() for arm in group]
    return [
        f"**Undecided.** Still open: {listing(arms)}. If the mean and spread seen so far were the "
        f"truth, a decision in 80 % of studies would need {'; '.join(parts)}. An undecided contrast is no evidence of "
        "equality."
    ]


def _by_need(item: tuple[int | None, list[str]]) -> float:
    return math.inf if item[0] is None else item[0]


def _seeds(needed: int | None) -> str:
    return plural(needed, "seed") if needed else f"more than {MOST} seeds"
