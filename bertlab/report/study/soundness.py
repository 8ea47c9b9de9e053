"""Validity checks of the study: its controls and the baseline's context gain.

Enters: `Findings`. Leaves: a markdown section.
"""

import math

from bertlab.report.study.contrasts import changed
from bertlab.report.study.names import named
from bertlab.report.study.scale import level_text, outcome_scale
from bertlab.report.study.verdict import failures
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, listing, number
from bertlab.study.judge import Findings, Judged
from bertlab.study.record import HARMFUL, SAME

MUST = {
    SAME: "EQUIVALENT: the baseline against itself, one stream of chance drawn anew",
    HARMFUL: "WORSE: an arm known to do harm",
}


def soundness(findings: Findings) -> str:
    """The controls, the context gain, and the consequences."""
    apart = outcome_scale(findings).apart
    header = ["control", "what it changes", "must be", "n", f"difference ({apart})", f"interval ({apart})", "level"]
    rows = [_cells(findings, judged) for judged in findings.controls.values()]
    table = Table([*header, "verdict"], rows, left=3).markdown()
    against = [f"- {escape(reason)}" for judged in findings.controls.values() for reason in failures(findings, judged)]
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
    if findings.soundness:
        reasons = "; ".join(map(escape, findings.soundness))
        return f"**The study is not sound**, so no contrast is judged: {reasons}."
    if findings.coarse:
        return _coarse(findings)
    return (
        "**The study is sound**: it found the harm that was put in, no material difference where there was none to "
        "find, and a baseline that uses context."
    )


def _coarse(findings: Findings) -> str:
    """Describe which findings remain with an A/A control that is not EQUIVALENT."""
    same, scale = findings.controls[SAME], outcome_scale(findings)
    held = [named(findings.study, judged.arm) for judged in findings.primary.values() if judged.held]
    taken = f" That takes back what {listing(held)} would have shown." if held else " Nothing is taken back by that."
    return (
        "**The ruler is coarser than the margin**: the baseline was not shown to equal itself when one stream of "
        f"chance was drawn anew ({same.verdict.words}, {scale.signed(same.contrast.mean)} {scale.apart}). So this "
        "study supports no equality; no *not worse*, except of an arm that is better, and no *not better*, except of "
        "an arm that is worse; and a difference counts only where its interval lies outside that of the control."
        f"{taken}"
    )


def _gain(findings: Findings) -> str:
    floor = f"the registered floor is {number(findings.study.floor)}"
    if math.isnan(findings.gain):
        return f"The baseline's context gain was not measured; {floor} nats."
    return (
        f"The baseline gains {number(findings.gain)} nats from context (loss of a model that knows only word "
        f"frequencies minus its own, mean over seeds); {floor}. Below it a model predicts little more than word "
        "frequencies, and every design looks alike."
    )
