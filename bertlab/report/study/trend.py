"""The registered trend: how the outcome changes along an ordered factor, and its best value.

Enters: `Findings`. Leaves: a markdown section, "" without a registered trend.
"""

import math

import numpy as np
import pandas as pd

from bertlab.report.draw import Points
from bertlab.report.settings import setting_of
from bertlab.report.study.scale import Scale, outcome_scale, p_text
from bertlab.report.study.seeds import finished
from bertlab.report.table import Table
from bertlab.report.words import escape, plural
from bertlab.stats.interval import Interval
from bertlab.stats.trend import Best, trend
from bertlab.study.judge import Findings

LEVEL = 0.90
FEWEST, FINE = 3, 60  # least levels for a parabola; points in its drawing


def trend_of(findings: Findings) -> str:
    """Slope and curvature over the factor, and the interval of its best value."""
    registered = findings.study.trend
    if registered is None:
        return ""
    title = f"## Trend along the {escape(setting_of(registered.factor).words)}"
    table = dose_table(findings)
    if len(table) < 2:
        return f"{title}\n\nFewer than two seeds have every level, so no trend is fitted."
    factors = list(table.columns)
    lower = findings.outcome.lower_is_better
    found = trend(factors, table.to_numpy(), LEVEL, lower_is_better=lower, scale=registered.scale)
    axis = "ln(factor)" if registered.scale == "log" else "the factor"
    scale = outcome_scale(findings)
    rows = [_row("slope at the middle", found.slope, found.slope_p, scale)]
    rows += [_row("curvature", found.curvature, found.curvature_p, scale)]
    header = ["", f"mean ({scale.apart} per unit of {axis}, or its square)", "90 % interval", "two-sided p"]
    said = (
        f"The factor is {escape(registered.factor)}. "
        f"One parabola over {axis} per seed, on the {plural(len(table), 'seed')} that have all "
        f"{plural(len(factors), 'level')}; tests and intervals are over seeds. "
    )
    return "\n\n".join(
        [title, f"{said}{_best(found.best, lower)} {_tried(table, lower)}", Table(header, rows).markdown()]
    )


def best_of(findings: Findings, table: pd.DataFrame) -> Best | None:
    """Return the best value of the registered factor; None if fewer than two seeds have every level."""
    registered = findings.study.trend
    if registered is None or len(table) < 2 or len(table.columns) < FEWEST:
        return None
    lower, doses = findings.outcome.lower_is_better, list(table.columns)
    return trend(doses, table.to_numpy(), LEVEL, lower_is_better=lower, scale=registered.scale).best


def parabola(findings: Findings, table: pd.DataFrame) -> Points:
    """Return the mean parabola along the factor, that of the means; empty if there are too few levels to test it.

    Three levels always fit exactly. Rounded, because CPUs differ in the last digits of a fit.
    """
    registered = findings.study.trend
    if registered is None or len(table.columns) <= FEWEST:
        return (), ()
    doses, log = np.array(table.columns, dtype=np.float64), registered.scale == "log"
    ends = np.log(doses[[0, -1]]) if log else doses[[0, -1]]
    x = np.linspace(float(ends[0]), float(ends[1]), FINE)
    fit = np.polynomial.Polynomial.fit(np.log(doses) if log else doses, table.mean().to_numpy(), 2)
    return (np.exp(x) if log else x).round(9).tolist(), fit(x).round(9).tolist()


def dose_table(findings: Findings) -> pd.DataFrame:
    """Return the outcome by seed (rows) and level of the factor (columns, ascending), for seeds with all levels."""
    assert findings.study.trend is not None
    doses = sorted(findings.study.trend.doses.items(), key=lambda item: item[1])
    return pd.DataFrame({dose: finished(findings, arm, findings.study.outcome) for arm, dose in doses}).dropna()


def _row(name: str, interval: Interval, p: float, scale: Scale) -> list[str]:
    return [name, scale.signed(interval.mean), scale.between(interval.low, interval.high), p_text(p)]


def _best(best: Best, lower: bool) -> str:
    extreme = "minimum" if lower else "maximum"
    if not best.shown or not math.isfinite(best.value):
        return f"The seeds do not show that the outcome has a {extreme} along the factor, so no best value is stated."
    place = (
        "the whole interval lies among the levels that were tried"
        if best.inside
        else "the interval reaches beyond the levels that were tried, where the parabola is a guess"
    )
    return (
        f"The {extreme} of the mean parabola lies at {_short(best.value)} (90 % interval {_short(best.low)} to "
        f"{_short(best.high)}); {place}. It holds as far as a parabola describes the curve."
    )


def _tried(table: pd.DataFrame, lower: bool) -> str:
    """Name the level with the best mean: a badly fitting parabola misses it."""
    mean_M = table.mean().to_numpy()
    best = [float(dose) for dose in table.columns][int(mean_M.argmin() if lower else mean_M.argmax())]
    return f"Of the levels that were tried, the mean is {'lowest' if lower else 'highest'} at {_short(best)}."


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
