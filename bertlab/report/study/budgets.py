"""Budgets of the arms: in which they are equal, how they differ in the others, and from how much of it they learn.

Enters: `Findings`. Leaves: sentences.
"""

from collections.abc import Iterable

import pandas as pd

from bertlab.report.layout import token_text
from bertlab.report.study.names import named
from bertlab.report.words import count, listing
from bertlab.study.factors import is_within, place
from bertlab.study.judge import Findings

AXES = {
    "tokens": "training tokens",
    "predicted_tokens": "predicted tokens",
    "steps": "optimiser steps",
    "flops": "FLOPs",
    "seconds": "seconds of training",
}
PREDICTED = "predicted_tokens"
COUNTED = ("tokens", PREDICTED, "flops")  # budgets independent of the machine
HALF = 0.5  # of the steps, in objective=alternating and by default in objective=sequential
ALIKE = 1.01  # ratio of medians below which budgets count as equal


def fair(findings: Findings) -> str:
    """Describe in which budget the arms are equal, and their differences in the others."""
    study, runs = findings.study, findings.record.runs
    runs = runs[runs["arm"].isin(list(study.arms)) & ~runs["diverged"]]
    if any(is_within(place(factor), ["budget"]) for factor in study.factors):
        return f"**Unequal in budget.** How long arms were trained is what this study varies.{_others(findings, runs)}"
    used = budget(runs, study.axis)
    text = f"**Equal in one budget.** Arms are compared after equal {AXES[study.axis]}"
    if not used.empty:
        text += f", {_span(used)}"
    return f"{text}.{_others(findings, runs, study.axis)}"


def _others(findings: Findings, runs: pd.DataFrame, own: str = "") -> str:
    """Describe the differences between arms in budgets that were counted but not held equal."""
    counted = {axis: budget(runs, axis).groupby(runs["arm"]).median() for axis in COUNTED if axis != own}
    known = {axis: by_arm for axis, by_arm in counted.items() if not by_arm.empty}
    apart = [
        f"{token_text(by_arm.min())} to {token_text(by_arm.max())} {AXES[axis]}"
        for axis, by_arm in known.items()
        if by_arm.max() > ALIKE * by_arm.min()
    ]
    if apart:
        return f" {'In other budgets they' if own else 'They'} differ: {listing(apart)} (medians of arms)."
    learned = _learned(findings, known[PREDICTED].index) if PREDICTED in known else ""
    alike = [AXES[axis] for axis in known if not (learned and axis == PREDICTED)]
    alike += ["the predicted tokens of the batches"] if learned else []
    return f" They are equal in {listing(alike)} too{learned}." if known else ""


def _learned(findings: Findings, arms: Iterable[str]) -> str:
    """Describe which arms learn from a part of their predicted tokens only; "" if none.

    Counts of earlier records are of all batches, learned from or not, and so equal in all arms.
    """
    by_share: dict[str, list[str]] = {}
    for arm in arms:
        by_share.setdefault(_share(learned_share(findings.study.arms[arm])), []).append(named(findings.study, arm))
    told = [f"{share} of them with {listing(own, 'or')}" for share, own in by_share.items()]
    return f"; what is learned from: {'; '.join(told)}" if len(by_share) > 1 else ""


def _share(share: float) -> str:
    return {0.0: "none", 0.5: "half", 1.0: "all"}.get(share, f"{100 * share:.0f} %")


def learned_share(overrides: Iterable[str]) -> float:
    """Return the share of an arm's steps whose loss has a weight on the predicted tokens, from its overrides."""
    settings = {key.lstrip("+"): value for key, _, value in (each.partition("=") for each in overrides)}
    objective = settings.get("objective", "joint")
    if float(settings.get("objective.mlm_weight", 1)) == 0:
        return 0.0
    if objective == "alternating":
        return HALF
    if objective == "sequential":
        first = float(settings.get("objective.share", HALF))
        return first if settings.get("objective.order", "[mlm").strip("[ ").startswith("mlm") else 1 - first
    return 1.0


def budget(runs: pd.DataFrame, axis: str) -> pd.Series:
    """Return a budget of runs that ended with it counted."""
    return runs.get(f"perf/{axis}", pd.Series(dtype=float)).dropna()


def _span(used: pd.Series) -> str:
    low, high = count(used.min()), count(used.max())
    return f"{low} in every finished run" if low == high else f"{low} to {high} in the finished runs"
