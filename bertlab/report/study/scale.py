"""How values of an outcome are written: shares in per cent, others as they are, with digits that show the margin.

Enters: an outcome and, where there is one, the margin. Leaves: text.
"""

import math
from dataclasses import dataclass

from bertlab.report.words import DASH, number, signed
from bertlab.study.judge import Findings
from bertlab.study.outcome import outcome_of

MOST = 5  # decimals
FINER = 3  # more decimals, where an end of an interval lies close to what it is compared with
WORTH_MOST = 4.0  # times the tokens, beyond which a straight line through the end of a curve says little


@dataclass(frozen=True)
class Scale:
    """Writes values (in `unit`) and differences (in `apart`), both times `factor`.

    `bounds`: what an interval is compared with. An end is given digits until one sees on which side of them it lies.
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
        """Write a value that is times `factor` already, with its unit."""
        return f"{number(value, self.decimals)}{' %' if self.unit == '%' else f' {self.unit}'}"

    def signed(self, difference: float) -> str:
        """Write a difference with its sign."""
        return signed(self.factor * difference, self.decimals)

    def between(self, low: float, high: float) -> str:
        """Write both ends of an interval; a dash when there is none."""
        return f"{self._end(low)} to {self._end(high)}" if math.isfinite(low) else DASH

    def _end(self, end: float) -> str:
        value = self.factor * end
        for decimals in range(self.decimals, self.decimals + FINER):
            if all(_side(value, bound, decimals) for bound in self.bounds):
                return signed(value, decimals)
        return signed(value, self.decimals + FINER)


def scale_of(metric: str, margin: float = math.nan) -> Scale:
    """Return how a metric is written; two digits of the margin are shown."""
    own = outcome_of(metric).unit.replace("_", " ")
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
    """Write what a difference is worth in training tokens: +12 %; what is beyond a factor of `WORTH_MOST`, as that."""
    if worth > WORTH_MOST - 1:
        return f"over {signed(100 * (WORTH_MOST - 1), 0)} %"
    if worth < 1 / WORTH_MOST - 1:
        return f"below {signed(100 * (1 / WORTH_MOST - 1), 0)} %"
    return f"{signed(100 * worth, 0)} %" if math.isfinite(worth) else DASH


def level_text(level: float, digits: int = 4) -> str:
    """Write the level of an interval: 90 %, 97.14 %."""
    return f"{100 * level:.{digits}g} %"


def p_text(p: float) -> str:
    """Write a p-value with three decimals, and those below by their bound."""
    return "< 0.001" if p < 0.001 else number(p)


def _side(value: float, bound: float, decimals: int) -> bool:
    """Return whether a value and a bound still stand in their order when both are rounded."""
    apart = round(value, decimals) - round(bound, decimals)
    return value == bound or (apart > 0 if value > bound else apart < 0)
