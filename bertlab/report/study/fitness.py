"""Suitability of a regime for claims: when its baseline leaves the plateau, how far equal runs differ, and how many
known answers it gives.

A regime is a model, a corpus and a budget. If arms are still on the plateau of word frequencies, or have just left it,
differences are mostly in when they leave. So they are if equal runs differ by as much as what matters. A verdict from
such a regime is marked as early training only. Enters: `Findings`. Leaves: numbers and words.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from bertlab.report.study.verdict import reasons_against
from bertlab.report.words import count, number, percent, plural
from bertlab.stats.claim import Finding
from bertlab.stats.flips import Floats
from bertlab.study.judge import GAIN, Findings
from bertlab.study.onset import onsets_in, starts_of
from bertlab.study.record import SAME

MEDIAN, LATEST = 0.05, 0.10  # shares of the budget: the median run, and every run, must have left by then
SPREAD = 1 / 3  # of the margin: what the paired differences of equal runs may have as standard deviation
FAMILY = "known_answers"  # family of the study that tests known answers
UNFIT = "early training only"


def left_at(findings: Findings) -> Floats:
    """Return the share of its budget by which each baseline run had left the plateau; infinite for never.

    Empty without curves of the context gain. A run that left before its first evaluation counts with that one.
    """
    baseline = findings.study.baseline
    curve = findings.record.curve(baseline, GAIN)
    starts = starts_of(findings, baseline)
    return np.exp(starts.to_numpy()) / float(curve.columns[-1]) if len(starts) else np.empty(0)


def is_continued(findings: Findings) -> bool:
    """Return whether the runs start from trained weights: those of a trunk, or of `start=`."""
    return findings.study.trunk is not None or findings.record.regime.start is not None


def spread_of(findings: Findings) -> float:
    """Return the standard deviation of the paired differences of equal runs, in margins; NaN if unknown."""
    same = findings.controls.get(SAME)
    return same.contrast.sd / findings.margin if same and same.contrast.n > 1 and findings.margin else math.nan


def is_fit(findings: Findings) -> bool | None:
    """Return whether the baseline leaves the plateau early, equal runs differ little, and known answers come out.

    A regime that was not asked for known answers is judged by the other two. None if it is unknown when it leaves.
    """
    met = _conditions(findings)
    return all(met) if met else None


def conditions_met(findings: Findings) -> int:
    """Return how many of the three conditions of a fit regime are shown to hold.

    Known answers that were not asked are not shown; nothing is, if it is unknown when the baseline starts.
    """
    early, alike, right = _conditions(findings) or (False, False, False)
    return early + alike + (right and findings.known is not None)


def _conditions(findings: Findings) -> tuple[bool, bool, bool] | None:
    """Return which conditions of a fit regime hold: the start, the spread of equal runs, the known answers."""
    shares = left_at(findings)
    if not len(shares):
        return None
    right, asked = findings.known or (0, 0)
    return _is_early_enough(shares), not spread_of(findings) > SPREAD, right == asked


def by_trust(names: Iterable[str], studies: Mapping[str, Findings]) -> list[str]:
    """Order names of studies: by how many conditions of a fit regime theirs meets, those not run last; then by name."""

    def order(name: str) -> tuple[int, str]:
        return (-conditions_met(studies[name]), name) if name in studies else (1, name)

    return sorted(names, key=order)


def start_words(findings: Findings) -> str:
    """Describe when the baseline leaves the plateau, and what follows for a verdict."""
    if is_continued(findings):
        return "runs start from trained weights"
    shares = left_at(findings)
    if not len(shares):
        return "when runs leave the plateau of word frequencies was not followed"
    middle = float(np.median(shares))
    when = f"after {percent(middle)} % of the budget" if np.isfinite(middle) else "in fewer than half of the runs"
    if onsets_in(findings, findings.study.baseline).is_bound:
        when = f"within the first {percent(middle)} % of the budget, before its first evaluation"
    said = f"the baseline leaves the plateau of word frequencies {when} ({plural(len(shares), 'run')})"
    if is_fit(findings):
        return said
    early, alike, _ = _conditions(findings) or (False, False, False)
    if early and not alike:
        wide = number(spread_of(findings), 1)
        said += f"; the differences of equal runs have a standard deviation of {wide} margins"
    elif early and findings.known:
        said += f"; {_known_words(*findings.known)}"
    return f"{said}: {UNFIT}"


def trust_words(findings: Findings, tested: Findings | None) -> str:
    """Describe when the baseline leaves the plateau, and the known answers of its regime.

    `tested`: the study that asked for known answers there; None if there is none.
    """
    asked = known_answers(tested) if tested else "known answers: not asked"
    said = start_words(replace(findings, known=right_answers(tested) if tested else None))
    return said if asked in said else f"{said}; {asked}"


def _is_early_enough(shares: Floats) -> bool:
    return bool(np.median(shares) <= MEDIAN and shares.max() <= LATEST)


def known_answers(findings: Findings) -> str:
    """Describe how many known answers a study of that family found."""
    found = right_answers(findings)
    if found is None:
        return f"known answers could not be judged ({findings.study.id})"
    return _known_words(*found)


def _known_words(right: int, asked: int) -> str:
    return f"known answers: {count(right)} of {count(asked)}"


def right_answers(findings: Findings) -> tuple[int, int] | None:
    """Return how many known answers a study of that family found, and of how many; None if it is vacuous."""
    if reasons_against(findings):
        return None
    return sum(judged.finding is Finding.SUPPORTED for judged in findings.primary.values()), len(findings.primary)
