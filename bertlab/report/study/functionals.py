"""Three numbers per training curve, for every arm: its end, its mean over ln(tokens), and the tokens to a target.

Enters: `Findings`. Leaves: a markdown section, "" for an outcome without curves. They are registered in addition to the
outcome and have no verdict.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bertlab.report.layout import token_text
from bertlab.report.study.contrasts import compared, in_order
from bertlab.report.study.curves import LEVEL, curve_of, whole_curve
from bertlab.report.study.scale import Scale, outcome_scale
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, number
from bertlab.stats.curves import Reached, area, final, half_budget_target, tokens_to_target
from bertlab.stats.interval import Interval, mean_t, paired_t
from bertlab.stats.survival import Survival, survival
from bertlab.study.judge import Findings

LAST = 3  # evaluations in the final mean


@dataclass(frozen=True)
class Functionals:
    """Of one arm, by seed: final value and area; and tokens to the target, also of diverged runs."""

    final: "pd.Series[float]"
    area: "pd.Series[float]"
    tokens: "pd.Series[float]"  # infinite if the target was never reached
    reached: Survival


def functionals(findings: Findings) -> str:
    """Final mean, area under the curve and tokens to target, with intervals of the differences."""
    base = curve_of(findings, findings.study.baseline, findings.study.outcome)
    if not _long_enough(base):
        return ""
    sign = 1 if findings.outcome.lower_is_better else -1
    target = half_budget_target(list(base.columns), sign * base.to_numpy())
    arms = [findings.study.baseline, *(judged.arm for judged in in_order(findings))]
    numbers = {arm: found for arm in arms if (found := _of(findings, arm, sign, target))}
    scale = outcome_scale(findings)
    against = {arm: numbers.get(findings.study.reference(arm)) for arm in numbers if arm != findings.study.baseline}
    rows = [
        [escape(arm + compared(findings, arm)), *_cells(scale, own, against.get(arm))] for arm, own in numbers.items()
    ]
    header = [
        "arm",
        f"final ({scale.unit})",
        "difference",
        f"area ({scale.unit})",
        "difference",
        "median tokens to target",
    ]
    table = Table([*header, "reached", "tokens, relative"], rows).markdown()
    return "\n\n".join(["## Three numbers per curve", _meaning(scale.value(sign * target)), table])


def _long_enough(curve: pd.DataFrame) -> bool:
    """Return whether a curve is long enough for its last mean, with the first evaluation before half of the tokens."""
    return curve.shape[1] >= LAST and len(curve) > 0 and 2 * curve.columns[0] <= curve.columns[-1]


def _of(findings: Findings, arm: str, sign: int, target: float) -> Functionals | None:
    curve = curve_of(findings, arm, findings.study.outcome)
    whole = whole_curve(findings, arm, findings.study.outcome, curve)
    if not len(whole):
        return None
    reached = _reached(sign * whole, target)
    last, mean = pd.Series(dtype=float), pd.Series(dtype=float)
    if _long_enough(curve):
        last = pd.Series(final(curve.to_numpy(), LAST), index=curve.index)
        mean = pd.Series(area(list(curve.columns), curve.to_numpy()), index=curve.index)
    return Functionals(last, mean, pd.Series(reached.tokens, index=whole.index), survival(reached))


def _reached(whole: pd.DataFrame, target: float) -> Reached:
    """Return when each run reached the target; none if all diverged before a second evaluation."""
    if whole.shape[1] < 2:
        return Reached((math.inf,) * len(whole), target, 0.0)
    return tokens_to_target(list(whole.columns), whole.to_numpy(), target)


def _cells(scale: Scale, own: Functionals, base: Functionals | None) -> list[str]:
    last, mean = mean_t(own.final, LEVEL), mean_t(own.area, LEVEL)
    there = own.reached.n - own.reached.censored
    return [
        _value(scale, last),
        _difference(scale, own.final, base.final) if base else "baseline",
        _value(scale, mean),
        _difference(scale, own.area, base.area) if base else "baseline",
        token_text(own.reached.median) if math.isfinite(own.reached.median) else "not reached",
        f"{count(there)} of {count(own.reached.n)}",
        _ratio(own.tokens, base.tokens) if base else "baseline",
    ]


def _value(scale: Scale, interval: Interval) -> str:
    half = f" ± {scale.value((interval.high - interval.low) / 2)}" if interval.df else ""
    return f"{scale.value(interval.mean)}{half}"


def _difference(scale: Scale, own: "pd.Series[float]", base: "pd.Series[float]") -> str:
    apart = paired_t((own - base).dropna(), LEVEL)
    ends = f" ({scale.between(apart.low, apart.high)})" if apart.df else ""
    return f"{scale.signed(apart.mean)}{ends}"


def _ratio(own: "pd.Series[float]", base: "pd.Series[float]") -> str:
    """Write the geometric mean ratio of tokens over pairs; none if a run never reached the target."""
    pairs = pd.DataFrame({"own": own, "base": base}).dropna()
    if pairs.empty or not np.isfinite(pairs.to_numpy()).all():
        return DASH
    apart = paired_t(np.log(pairs["own"] / pairs["base"]), LEVEL)
    ends = f" ({number(math.exp(apart.low), 2)} to {number(math.exp(apart.high), 2)})" if apart.df else ""
    return f"× {number(math.exp(apart.mean), 2)}{ends}"


def _meaning(target: str) -> str:
    return (
        f"*Final* is the mean of the last {LAST} evaluations, *area* the mean of the curve over ln(tokens); both are "
        "means over seeds, ± half of a 90 % interval, with the mean paired difference and its 90 % interval. *Target* "
        f"is {target}, the baseline's median at half of the tokens; *reached* counts the runs that got there (one that "
        "diverged before did not), and *relative* is the geometric mean over pairs of the tokens needed, arm over "
        "baseline, where every run got there. No verdict is read from these numbers."
    )
