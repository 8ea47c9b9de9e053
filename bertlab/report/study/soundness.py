"""Whether the study could have seen a difference: its controls and the baseline's context gain.

Enters: `Findings`. Leaves: a markdown section.
"""

import math

from bertlab.report.study.contrasts import changed, is_pooled
from bertlab.report.study.scale import level_text, outcome_scale
from bertlab.report.study.verdict import failures, is_or_are
from bertlab.report.words import DASH, count, escape, grid, listing, number
from bertlab.stats.rule import Kind
from bertlab.study.judge import Findings, Judged
from bertlab.study.record import HARMFUL, SAME

MUST = {
    SAME: "EQUIVALENT, or too noisy to tell: the baseline against itself, one stream of chance drawn anew",
    HARMFUL: "WORSE: an arm known to do harm",
}


def soundness(findings: Findings) -> str:
    """The controls, the context gain, and what follows."""
    apart = outcome_scale(findings).apart
    header = ["control", "what it changes", "must be", "n", f"difference ({apart})", f"interval ({apart})", "level"]
    rows = [_cells(findings, judged) for judged in findings.controls.values()]
    table = grid([*header, "verdict"], rows, left=3)
    against = [f"- {escape(reason)}" for judged in findings.controls.values() for reason in failures(judged)]
    return "\n\n".join(
        filter(None, ["## Soundness", _conclusion(findings), _gain(findings), table, "\n".join(against)])
    )


def _cells(findings: Findings, judged: Judged) -> list[str]:
    scale, interval = outcome_scale(findings), judged.interval
    return [
        escape(judged.arm),
        escape(changed(findings, judged.arm)),
        MUST[judged.arm],
        count(judged.contrast.n),
        scale.signed(judged.contrast.mean),
        scale.between(interval.low, interval.high),
        level_text(interval.level) if math.isfinite(interval.low) else DASH,
        f"**{judged.verdict.words}**",
    ]


def _conclusion(findings: Findings) -> str:
    if not findings.soundness:
        sound = (
            "**The study is sound**: it found the harm that was put in, no material difference where there was none to "
            "find, and a baseline that uses context."
        )
        kind = findings.controls[SAME].verdict.kind
        if kind is Kind.EQUIVALENT:
            return sound
        return (
            f"{sound} But it could not call the baseline equivalent to itself ({kind.value}): by its own pairs alone "
            f"this control shows no absence of a difference.{_pooled(findings)}"
        )
    reasons = "; ".join(map(escape, findings.soundness))
    return f"**The study is not sound**, so no contrast is judged: {reasons}."


def _pooled(findings: Findings) -> str:
    """Say what an EQUIVALENT rests on where the control is too noisy to be one."""
    same = [each for each in findings.primary.values() if each.verdict.kind is Kind.EQUIVALENT and is_pooled(each)]
    arms = [escape(each.arm) for each in same]
    return f" That {listing(arms)} {is_or_are(arms)} EQUIVALENT rests on a spread pooled over arms." if arms else ""


def _gain(findings: Findings) -> str:
    floor = f"the registered floor is {number(findings.study.floor)}"
    if math.isnan(findings.gain):
        return f"The baseline's context gain was not measured; {floor} nats."
    return (
        f"The baseline gains {number(findings.gain)} nats from context (loss of a model that knows only word "
        f"frequencies minus its own, mean over seeds); {floor}. Below it a model predicts little more than word "
        "frequencies, and every design looks alike."
    )
