"""Sensitivity of the finding: the margin at which it changes, its status without one seed, and by the registered words.

Enters: `Findings`. Leaves: a markdown section, "" if nothing could be judged.
"""

from bertlab.report.study.scale import outcome_scale
from bertlab.report.study.verdict import reasons_against
from bertlab.report.words import count, listing, plural
from bertlab.stats.claim import Finding
from bertlab.study.firmness import REACH, materially, tipping, without_each_seed
from bertlab.study.judge import Findings

TOO_FEW = "three seeds: two are never judged"


def firmness(findings: Findings) -> str:
    """The changing margin, the seeds one by one, and the status by the registered words."""
    if reasons_against(findings):
        return ""
    lines = [_margin(findings), _seeds(findings), *_words(findings)]
    return "\n".join(["## How firm the finding is", "", *(f"- {line}" for line in lines)])


def _margin(findings: Findings) -> str:
    scale, found = outcome_scale(findings), tipping(findings)
    here = f"It is {scale.value(findings.margin)} {scale.apart}, and the status {findings.finding.value}"
    if not found:
        return f"**Tipping margin.** {here} at every margin from an eighth of it to {count(REACH)} times it."
    tips = [
        f"{each.finding.value} at {scale.value(each.margin)} ({count(100 * each.margin / findings.margin)} % of it"
        f"{f', as a control fails: {each.control}' if each.control else ''})"
        for each in found
    ]
    return f"**Tipping margin.** {here}; it would be {' and '.join(tips)}."


def _seeds(findings: Findings) -> str:
    by_seed = without_each_seed(findings)
    moved: dict[Finding, list[str]] = {}
    for seed, finding in by_seed.items():
        if finding not in (findings.finding, None):
            moved.setdefault(finding, []).append(str(seed))
    few = [str(seed) for seed, finding in by_seed.items() if finding is None]
    if few and len(few) == len(by_seed):
        return f"**Without one seed.** {TOO_FEW.capitalize()}."
    said = [f"{finding.value} without seed {listing(seeds)}" for finding, seeds in moved.items()]
    lines = [f"The status would be {'; '.join(said)}, each left out alone."] if said else []
    lines += [f"Not tried without seed {listing(few)}: {TOO_FEW}."] if few else []
    same = f"The status stays the same whichever of {plural(len(by_seed), 'seed')} is left out."
    return f"**Without one seed.** {' '.join(lines or [same])}"


def _words(findings: Findings) -> list[str]:
    """Describe the status of a claim about the sign if a difference had to be larger than the margin."""
    status = materially(findings)
    if status is None:
        return []
    worded = (
        "materially" in findings.record.registered.claim and findings.record.registered.claim != findings.study.claim
    )
    why = (
        "The registered words say *materially*, the registered test asks for the sign"
        if worded
        else "The claim is about the sign"
    )
    return [f"**By more than the margin.** {why}. Tested beyond the margin instead, it would be {status.value}."]
