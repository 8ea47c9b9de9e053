"""Sensitivity of a finding: its status at another margin, without one seed, or by the registered wording.

Enters: `Findings`. Leaves: findings that decide nothing; they show how easily the status would change.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bertlab.stats.claim import Expectation, Finding
from bertlab.study.judge import Findings, at_margin, judge

REACH = 8.0  # search up to this factor of the margin, in both directions
STEPS = 48  # margins tried in each direction; a status in a range under 4.5 % may be missed
EXACT = 1e-4  # precision, relative to the margin
MATERIALLY = {
    Expectation.WORSE: Expectation.MATERIALLY_WORSE,
    Expectation.BETTER: Expectation.MATERIALLY_BETTER,
}


@dataclass(frozen=True)
class Tipping:
    """The margin nearest to the registered one with another status, in one direction."""

    margin: float
    finding: Finding


def tipping(found: Findings) -> list[Tipping]:
    """Return the nearest margin below and above with another status, if within `REACH`."""

    def status(factor: float) -> Finding:
        return at_margin(found, factor * found.margin).finding

    sides = (_tip(status, found.finding, reach) for reach in (1 / REACH, REACH))
    return [Tipping(factor * found.margin, now) for side in sides if side for factor, now in [side]]


def without_each_seed(found: Findings) -> dict[int, Finding]:
    """Return the status without each seed of the baseline that arms were paired with, by seed."""
    seeds = [int(seed) for seed in found.record.arm(found.study.baseline).index]
    paired = [seed for seed in seeds if seed < max(found.study.looks)]
    return {seed: judge(found.record, without=seed).finding for seed in paired}


def materially(found: Findings) -> Finding | None:
    """Return the status if claims about the sign are tested beyond the margin; None if no claim is about the sign."""
    study = found.study
    if not MATERIALLY.keys() & set(study.expects.values()):
        return None
    node = found.record.node
    stronger = {
        arm: MATERIALLY.get(Expectation(word), Expectation(word)).value for arm, word in node["expects"].items()
    }
    return judge(replace(found.record, node={**node, "expects": stronger})).finding


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
