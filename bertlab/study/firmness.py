"""Sensitivity of a finding: its status at another margin, without one seed, or by the registered wording.

Enters: `Findings`. Leaves: findings that decide nothing; they show how easily the status would change.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bertlab.stats.claim import Expectation, Finding
from bertlab.stats.rule import Kind
from bertlab.study.judge import Findings, at_margin, judge, without_seed

REACH = 8.0  # search up to this factor of the margin, in both directions
STEPS = 48  # margins tried in each direction; a status in a range under 4.5 % may be missed
NO_RULER = "the baseline is not shown to equal itself"
EXACT = 1e-4  # precision, relative to the margin
MATERIALLY = {
    Expectation.WORSE: Expectation.MATERIALLY_WORSE,
    Expectation.BETTER: Expectation.MATERIALLY_BETTER,
}


@dataclass(frozen=True)
class Tipping:
    """The margin nearest to the registered one with another status, in one direction.

    `control`: why the study decides nothing there, if it is a control that fails; "" if the contrasts themselves move.
    """

    margin: float
    finding: Finding
    control: str = ""


def tipping(found: Findings) -> list[Tipping]:
    """Return the nearest margin below and above with another status, if within `REACH`."""
    found = _claimed(found)

    def status(factor: float) -> Finding:
        return at_margin(found, factor * found.margin).finding

    sides = (_tip(status, found.finding, reach) for reach in (1 / REACH, REACH))
    margins = [(factor * found.margin, now) for side in sides if side for factor, now in [side]]
    return [Tipping(margin, now, _control(found, at_margin(found, margin))) for margin, now in margins]


def without_each_seed(found: Findings) -> dict[int, Finding | None]:
    """Return the status without each seed of the baseline that arms were paired with, by seed.

    None: another status only because an arm has too few pairs left to be judged.
    """
    found = _claimed(found)
    seeds = [int(seed) for seed in found.record.arm(found.study.baseline).index]
    paired = [seed for seed in seeds if seed < max(found.study.looks)]
    return {seed: _unless_too_few(found, without_seed(found, seed)) for seed in paired}


def _claimed(found: Findings) -> Findings:
    """Return the findings without exploratory arms: these decide nothing, and each margin judges all that is left."""
    return replace(found, arms=found.primary)


def _unless_too_few(found: Findings, left: Findings) -> Finding | None:
    few = any(judged.verdict.kind is Kind.UNTESTABLE for judged in {**left.primary, **left.controls}.values())
    return None if few and (left.finding is not found.finding or left.soundness) else left.finding


def materially(found: Findings) -> Finding | None:
    """Return the status if claims about the sign are tested beyond the margin; None if no claim is about the sign."""
    study = found.study
    if not MATERIALLY.keys() & set(study.expects.values()):
        return None
    node = found.record.node
    stronger = {
        arm: MATERIALLY.get(Expectation(word), Expectation(word)).value for arm, word in node["expects"].items()
    }
    return judge(replace(found.record, node={**node, "expects": stronger}), counting=False).finding


def _control(found: Findings, there: Findings) -> str:
    """Describe which control fails at another margin and so moves the status; "" if none does."""
    if new := [reason for reason in there.soundness if reason not in found.soundness]:
        return "; ".join(new)
    held = any(judged.held for judged in there.primary.values())
    return NO_RULER if held and there.coarse and not found.coarse else ""


def _tip(status: Callable[[float], Finding], registered: Finding, reach: float) -> tuple[float, Finding] | None:
    """Search from the registered margin to `reach` times it, then bisect to the first change."""
    held = 1.0
    for factor in np.geomspace(1.0, reach, STEPS + 1)[1:].tolist():
        if status(factor) is not registered:
            return _halved(status, registered, held, factor)
        held = factor
    return None


def _halved(
    status: Callable[[float], Finding], registered: Finding, held: float, moved: float
) -> tuple[float, Finding]:
    while abs(math.log(moved / held)) > EXACT:
        middle = math.sqrt(held * moved)
        held, moved = (middle, moved) if status(middle) is registered else (held, middle)
    return moved, status(moved)
