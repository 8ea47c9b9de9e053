"""Findings of related studies, corrected together: does a study's finding hold among all claims of its family?

Enters: judged studies. Leaves: for each its finding once Holm's rule has gone over the claims of the whole family.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bertlab.stats.claim import Finding, finding, study_finding
from bertlab.stats.looks import interval_level
from bertlab.stats.multiple import holm
from bertlab.stats.verdict import judge as judge_interval
from bertlab.study.judge import Findings, Judged


@dataclass(frozen=True)
class Standing:
    """A study in its family: the number of claims corrected together, and the finding that is left."""

    contrasts: int
    finding: Finding


def families(studies: Mapping[str, Findings]) -> dict[str, Standing]:
    """Return the standing of every study among those given, the claims of which share one error probability a family.

    Holm's rule over all claims' p gives each its level, over the looks of its own study; its verdict is read anew from
    the interval of that level. The more claims, the wider the intervals: a finding can be lost, none is gained. Lost is
    also one that a wider interval would turn, as where a harm below the margin is no longer surely below it.
    """
    claims = [(name, arm, judged) for name, each in studies.items() for arm, judged in each.primary.items()]
    found: dict[str, list[Finding]] = {name: [] for name in studies}
    sizes: dict[str, int] = {}
    for family in {each.study.family for each in studies.values()}:
        own = [(name, judged) for name, _, judged in claims if studies[name].study.family == family]
        sizes[family] = len(own)
        for (name, judged), alpha in zip(own, holm([judged.p for _, judged in own]).alphas, strict=True):
            held = read_at(studies[name], judged, alpha) is judged.finding
            found[name].append(judged.finding if held and judged.finding else Finding.UNDECIDED)
    return {name: Standing(sizes[each.study.family], study_finding(found[name])) for name, each in studies.items()}


def read_at(findings: Findings, judged: Judged, alpha: float) -> Finding:
    """Return what a claim's verdict says when it is tested at `alpha` over all looks of its study."""
    assert judged.expects is not None
    interval = judged.contrast.decision(interval_level(findings.study.looks, alpha))
    better = findings.outcome.lower_is_better
    verdict = judge_interval(interval, findings.margin, judged.verdict.standing, lower_is_better=better)
    return finding(judged.expects, verdict.kind, verdict.interval.low, verdict.margin)
