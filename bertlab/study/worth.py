"""A margin in tokens: how precisely it is known, and how many tokens it is by other measures.

Enters: `Findings` with a frozen margin. Leaves: its interval over the exploration seeds, its size by the slope of the
last half of the tokens, and by shorter runs with a complete schedule if the harmful control is one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bertlab.stats.flips import Floats
from bertlab.stats.interval import Interval, around
from bertlab.stats.margin import LAST, Margin, worth_of_tokens
from bertlab.study.judge import Findings
from bertlab.study.record import EXPLORATION, HARMFUL

PARTS = {0.5: 4, 0.75: 3}  # share of the tokens: evaluations needed there; the first with enough is used
TOKENS, SHORTER = "perf/tokens", "budget.tokens="


@dataclass(frozen=True, kw_only=True)
class Worth:
    """A margin that was declared as a share of the tokens. Shares are of tokens; None if unknown."""

    declared: float
    part: float  # share of the tokens where the slope was measured
    measured: Margin  # as frozen
    by_end: float | None  # by the slope of the last half
    points: int  # number of evaluations there
    by_shorter: float | None
    shorter: float  # token budget of the shorter runs


def slope_part(tokens: Sequence[float]) -> tuple[float, int]:
    """Return the last part of the tokens where the slope is measured, and the evaluations needed there.

    The last half if it has four evaluations; for shorter curves the last three quarters.
    """
    end = max(tokens, default=0)
    enough = (part for part in PARTS.items() if sum(each >= end * (1 - part[0]) for each in tokens) >= part[1])
    return next(enough, [*PARTS.items()][-1])


def worth_of(findings: Findings) -> Worth | None:
    """Return the size of a study's margin in tokens; None for other units or missing curves."""
    study, record = findings.study, findings.record
    curve = record.curve(EXPLORATION, study.outcome)
    curve = curve[[tokens for tokens in curve.columns if int(tokens) > 0]]
    if study.margin.unit != "tokens" or curve.empty:
        return None
    part, share = record.frozen.part, study.margin.value
    points = ([int(tokens) for tokens in curve.columns], curve.to_numpy())
    try:
        measured = worth_of_tokens(*points, share, part, fewest=2)
    except ValueError:
        return None
    shorter, by_shorter = _by_shorter(findings)
    end = _end(points, share)
    by_end = end.meaning(findings.margin) if end else None
    return Worth(
        declared=share,
        part=part,
        measured=measured,
        by_end=by_end,
        points=end.points if end else 0,
        by_shorter=by_shorter,
        shorter=shorter,
    )


def _end(points: tuple[list[int], Floats], share: float) -> Margin | None:
    try:
        return worth_of_tokens(points[0], points[1], share, LAST, fewest=2)
    except ValueError:
        return None


def _by_shorter(findings: Findings) -> tuple[float, float | None]:
    """Return the tokens of the harmful control, if it changes nothing else, and the margin's size by it."""
    shorter, slope = shorter_runs(findings)
    if slope is None:
        return shorter, None
    return shorter, math.expm1(min(findings.margin / abs(slope.mean), 700.0))


def shorter_runs(findings: Findings) -> tuple[float, Interval | None]:
    """Return the tokens of the harmful control, and the change of the outcome per ln(tokens) up to the baseline's runs.

    Both schedules are complete. None if the control is not the baseline on fewer tokens, or shows no difference.
    """
    study, record, control = findings.study, findings.record, findings.controls[HARMFUL]
    changed = study.controls[HARMFUL]
    if len(changed) != 1 or not changed[0].startswith(SHORTER) or TOKENS not in record.runs:
        return math.nan, None
    shorter, whole = (float(record.arm(name)[TOKENS].median()) for name in (HARMFUL, study.baseline))
    if not 0 < shorter < whole or not control.contrast.n or not control.contrast.mean:
        return shorter, None
    own, log_ratio = control.contrast.interval(), math.log(whole / shorter)
    return shorter, around(-own.mean / log_ratio, own.se / log_ratio, 1, own.df, own.level)
