"""How arms look in the figures of a study: their order, their names and their colours.

Enters: `Findings`. Leaves: names and inks by arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bertlab.report.draw import DASHES, NAMED, Curve, colours
from bertlab.report.layout import Ink
from bertlab.report.study.contrasts import in_order
from bertlab.study.judge import Findings
from bertlab.study.labels import label

MANY = 7  # arms; with more, colours are hard to distinguish
PLAIN = "#7d7d7d"  # colour of other arms


def arms_shown(findings: Findings) -> list[str]:
    """Return the baseline, then the other arms in the order of the contrasts."""
    return [findings.study.baseline, *(judged.arm for judged in in_order(findings))]


def names_of(findings: Findings) -> dict[str, str]:
    """Return the arms' names for readers."""
    mark = {findings.study.baseline: " (baseline)"}
    return {arm: label(findings.study, arm) + mark.get(arm, "") for arm in arms_shown(findings)}


def compared_names(findings: Findings) -> dict[str, str]:
    """Return the arms' names in figures of differences: with their comparison arm, if it is not the baseline."""
    against = {arm: f" (against {label(findings.study, its)})" for arm, its in findings.study.against.items()}
    return {arm: name + against.get(arm, "") for arm, name in names_of(findings).items()}


def inks_of(findings: Findings) -> dict[str, Ink]:
    """Return one colour per arm: a scale along the registered factor, else distinct ones; the baseline is bold."""
    study, arms = findings.study, arms_shown(findings)
    doses = study.trend.doses if study.trend else {}
    ordered = set(arms) == set(doses)
    arms = sorted(arms, key=lambda arm: doses[arm]) if ordered else arms
    if not ordered:
        return distinct_inks(arms, study.baseline)
    return {
        arm: Ink(colour, bold=arm == study.baseline)
        for arm, colour in zip(arms, colours(len(arms), ordered=True), strict=True)
    }


def distinct_inks(arms: Sequence[str], baseline: str) -> dict[str, Ink]:
    """Return distinct colours per arm; repeated colours have dashes."""
    return {
        arm: Ink(colour, DASHES[place // len(NAMED) % len(DASHES)], arm == baseline)
        for place, (arm, colour) in enumerate(zip(arms, colours(len(arms), ordered=False), strict=True))
    }


def lit(findings: Findings, best: str, curves: Mapping[str, Curve]) -> Mapping[str, Curve]:
    """Return the curves; with more than `MANY` only the baseline's and the best one's are coloured."""
    if len(curves) <= MANY:
        return curves
    lit = {best: Ink(NAMED[1], bold=True), findings.study.baseline: Ink(NAMED[0], bold=True)}
    return {arm: replace(curve, ink=lit.get(arm, Ink(PLAIN))) for arm, curve in curves.items()}
