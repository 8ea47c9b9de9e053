"""The top of the page: the question, the verdict, what was claimed, the contrasts, and how to read them.

Enters: `Findings`. Leaves: markdown.
"""

import math
from itertools import chain

from bertlab.report.study.contrasts import NOT_REGISTERED, compared, in_order, verdict_table
from bertlab.report.study.scale import WORTH_MOST, outcome_scale
from bertlab.report.study.verdict import DETECTABLE, EXPECTED, READING, failures, headline
from bertlab.report.words import count, escape, grid, listing, number, percent, signed
from bertlab.stats.claim import REFUTES, SUPPORTS, Expectation
from bertlab.stats.rule import Kind
from bertlab.study.design import Study
from bertlab.study.judge import Findings

SHOWN = ", or INCONCLUSIVE with an interval that does not reach the margin on the better side"


def opening(findings: Findings) -> str:
    """The question, what became of the claim, and what counts as a material difference."""
    scale, direction = outcome_scale(findings), "lower" if findings.outcome.lower_is_better else "higher"
    words = (
        f"*Materially* and *within the margin* are meant against {scale.value(findings.margin)} {scale.apart} of "
        f"{escape(findings.study.outcome)} ({direction} is better), fixed before the compared runs as the smallest "
        "difference that matters."
    )
    return f"# {escape(findings.study.question)}\n\n**{escape(headline(findings))}**\n\n{words}"


def claim(findings: Findings) -> str:
    """The claim as it was registered, and which verdicts support or refute it."""
    study, rows = findings.study, []
    for expectation in dict.fromkeys(study.expects.values()):
        arms = [escape(arm + compared(findings, arm)) for arm, own in study.expects.items() if own is expectation]
        rows.append([listing(arms), EXPECTED[expectation], *_deciding(expectation)])
    table = grid(["arm", "the claim says it is", "supported by", "refuted by"], rows, left=4)
    whole = "The claim is supported if every arm in this table supports it, refuted if one refutes it, else undecided."
    said = f"Registered before the runs: “{escape(study.claim)}”"
    return "\n\n".join(["## The claim", said, table, whole, f"{_outcome(findings)} {_margin(findings)}"])


def contrasts(findings: Findings) -> str:
    """The table of contrasts and what its columns mean."""
    study, scale = findings.study, outcome_scale(findings)
    better, worse = ("below", "above") if findings.outcome.lower_is_better else ("above", "below")
    sentences = [
        f"Each row is an arm minus the baseline, {escape(study.baseline)} "
        f"({escape(' '.join(study.arms[study.baseline]))}), or the arm it is said to be against, "
        f"over the n seeds that both have; {better} zero the arm is "
        f"better, {worse} zero worse. The interval is the one that the verdict is read from; its level allows for "
        f"{_allowed(study)}, not for other studies of the family {escape(study.family)}, "
        "which the answer book corrects for."
    ]
    if math.isfinite(findings.slope):
        sentences.append(
            "*Worth in tokens*: how many more or fewer training tokens would move the baseline as far, along the "
            "straight line through the end of its curve; rough for large values, and cut at a factor of "
            f"{WORTH_MOST:g}."
        )
    if any(judged.expects is None for judged in in_order(findings)):
        sentences.append(
            f"The claim does not speak of {NOT_REGISTERED} arms; their intervals allow for nothing, and decide nothing."
        )
    title = f"## Contrasts ({scale.apart} of {escape(study.outcome)})"
    return "\n\n".join(filter(None, [title, verdict_table(findings), _against(findings), " ".join(sentences)]))


def reading(findings: Findings) -> str:
    """What the verdicts mean that occur on this page."""
    shown = {judged.verdict.kind for judged in [*findings.primary.values(), *findings.controls.values()]}
    lines = [f"- **{kind.value}**: {READING[kind]}" for kind in Kind if kind in shown]
    detectable = any(judged.verdict.detectable for judged in [*findings.primary.values(), *findings.controls.values()])
    return "\n".join(["## How to read the verdicts", "", *lines, *([DETECTABLE] if detectable else [])])


def remarks(findings: Findings) -> str:
    """What somebody wrote beside the numbers, if anybody did."""
    written = findings.record.remarks.strip()
    about = "*Written after the results were seen; no verdict rests on it.*"
    return f"## Remarks\n\n{about}\n\n{written}" if written else ""


def _against(findings: Findings) -> str:
    """List what stands against single arms; what makes the whole study vacuous is said under Soundness."""
    arms = [judged for judged in in_order(findings) if judged.verdict.kind is not Kind.VACUOUS]
    return "\n".join(f"- {escape(reason)}" for reason in dict.fromkeys(chain.from_iterable(map(failures, arms))))


def _deciding(expectation: Expectation) -> list[str]:
    """Write the verdicts that support and that refute an expectation, in the order in which they are tried."""
    supports, refutes = (
        ", ".join(kind.value for kind in Kind if kind in kinds[expectation]) for kinds in (SUPPORTS, REFUTES)
    )
    return [f"{supports}{SHOWN if expectation is Expectation.NOT_BETTER else ''}", refutes]


def _outcome(findings: Findings) -> str:
    study, outcome = findings.study, findings.outcome
    direction = "lower" if outcome.lower_is_better else "higher"
    unit = outcome_scale(findings).unit
    return f"Judged by {escape(study.outcome)}: {escape(outcome.words)} ({unit}; {direction} is better)."


def _margin(findings: Findings) -> str:
    scale, margin = outcome_scale(findings), findings.study.margin
    size = f"The margin, the smallest difference that matters, is {scale.value(findings.margin)} {scale.apart}"
    if margin.unit != "tokens":
        return f"{size}, as registered."
    seeds = findings.record.facts.get("exploring", "0")
    return (
        f"{size}: what {percent(margin.value).removesuffix('.0')} % more training tokens are worth to the baseline "
        f"near its end, where its slope is {signed(scale.factor * findings.slope)} {scale.apart} per unit of "
        f"ln(tokens). It was measured on {escape(seeds)} exploration seeds that no contrast uses, and frozen."
    )


def _allowed(study: Study) -> str:
    """Say what the level of a primary interval corrects for."""
    looks = f"{count(len(study.looks))} looks" if len(study.looks) > 1 else ""
    family = f"{count(len(study.expects))} primary contrasts (Holm)" if len(study.expects) > 1 else ""
    return listing(filter(None, [looks, family])) or f"one contrast at one look, each side at {number(0.05, 2)}"
