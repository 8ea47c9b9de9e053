"""Formats of an outcome's values: shares in per cent, others unchanged, with enough digits to show the margin.

Enters: an outcome and, if there is one, the margin. Leaves: text.
"""

import math
from dataclasses import dataclass

from bertlab.evaluation.measures import measure_of
from bertlab.report.words import DASH, number, signed
from bertlab.study.judge import Findings
from bertlab.study.outcome import outcome_of

MOST = 5  # decimals
FINER = 3  # more decimals if an end of an interval is close to a bound
WORTH_MOST = 4.0  # token multiple beyond which a straight line through the end of a curve is unreliable


@dataclass(frozen=True)
class Scale:
    """Writes values (in `unit`) and differences (in `apart`), both times `factor`.

    `bounds`: limits for intervals. An end gets enough digits to show on which side of them it is.
    """

    factor: float
    unit: str
    apart: str
    decimals: int
    bounds: tuple[float, ...] = (0.0,)

    def value(self, value: float) -> str:
        """Write a value."""
        return number(self.factor * value, self.decimals)

    def written(self, value: float) -> str:
        """Write a value that is already times `factor`, with its unit."""
        return f"{number(value, self.decimals)}{' %' if self.unit == '%' else f' {self.unit}'}"

    def signed(self, difference: float) -> str:
        """Write a difference with its sign."""
        return signed(self.factor * difference, self.decimals)

    def between(self, low: float, high: float, to: str = " to ") -> str:
        """Write both ends of an interval; a dash when there is none."""
        return f"{self._end(low)}{to}{self._end(high)}" if math.isfinite(low) else DASH

    def _end(self, end: float) -> str:
        value = self.factor * end
        for decimals in range(self.decimals, self.decimals + FINER):
            if all(_side(value, bound, decimals) for bound in self.bounds):
                return signed(value, decimals)
        return signed(value, self.decimals + FINER)


def scale_of(metric: str, margin: float = math.nan) -> Scale:
    """Return how a metric is written; two digits of the margin are shown."""
    own = (measure_of(metric) or outcome_of(metric)).unit.replace("_", " ")
    share = own == "share"
    factor, least = (100.0, 1) if share else (1.0, 3)
    digits = 1 - math.floor(math.log10(factor * margin)) if margin > 0 else least
    unit, apart = ("%", "percentage points") if share else (own, own)
    bounds = (0.0, factor * margin, -factor * margin) if margin > 0 else (0.0,)
    return Scale(factor, unit, apart, min(max(least, digits), MOST), bounds)


def outcome_scale(findings: Findings) -> Scale:
    """Return how the study's own outcome is written."""
    return scale_of(findings.study.outcome, findings.margin)


def worth_text(worth: float) -> str:
    """Write a difference in training tokens: +12 %; more than a factor of `WORTH_MOST` as that."""
    if worth > WORTH_MOST - 1:
        return f"over {signed(100 * (WORTH_MOST - 1), 0)} %"
    if worth < 1 / WORTH_MOST - 1:
        return f"below {signed(100 * (1 / WORTH_MOST - 1), 0)} %"
    return f"{signed(100 * worth, 0)} %" if math.isfinite(worth) else DASH


def level_text(level: float, digits: int = 4) -> str:
    """Write the level of an interval: 90 %, 97.14 %."""
    return f"{100 * level:.{digits}g} %"


def p_text(p: float) -> str:
    """Write a p-value with three decimals; below .001 as a bound."""
    return "< 0.001" if p < 0.001 else number(p)


def _side(value: float, bound: float, decimals: int) -> bool:
    """Return whether the order of a value and a bound is visible after rounding."""
    apart = round(value, decimals) - round(bound, decimals)
    return value == bound or (apart > 0 if value > bound else apart < 0)
