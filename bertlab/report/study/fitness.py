"""Suitability of a regime for claims: when its baseline leaves the plateau, and how many known answers it gives.

A regime is a model, a corpus and a budget. If arms are still on the plateau of word frequencies, or have just left it,
differences are mostly in when they leave: a verdict from such a regime is marked as early training only. Enters:
`Findings`. Leaves: numbers and words.
"""

import numpy as np

from bertlab.report.study.verdict import reasons_against
from bertlab.report.words import count, percent, plural
from bertlab.stats.claim import Finding
from bertlab.stats.flips import Floats
from bertlab.study.judge import GAIN, Findings
from bertlab.study.onset import starts_of

MEDIAN, LATEST = 0.05, 0.10  # shares of the budget: the median run, and every run, must have left by then
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


def is_fit(findings: Findings) -> bool | None:
    """Return whether the baseline leaves the plateau early enough.

    None if unknown.
    """
    shares = left_at(findings)
    return bool(np.median(shares) <= MEDIAN and shares.max() <= LATEST) if len(shares) else None


def start_words(findings: Findings) -> str:
    """Describe when the baseline leaves the plateau, and what follows for a verdict."""
    shares = left_at(findings)
    if not len(shares):
        return "when runs leave the plateau of word frequencies was not followed"
    middle = float(np.median(shares))
    when = f"after {percent(middle)} % of the budget" if np.isfinite(middle) else "in fewer than half of the runs"
    fit = f": {UNFIT}" if is_fit(findings) is False else ""
    return f"the baseline leaves the plateau of word frequencies {when} ({plural(len(shares), 'run')}){fit}"


def known_answers(findings: Findings) -> str:
    """Describe how many known answers a study of that family found."""
    found = right_answers(findings)
    if found is None:
        return f"known answers could not be judged ({findings.study.id})"
    return f"known answers: {count(found[0])} of {count(found[1])}"


def right_answers(findings: Findings) -> tuple[int, int] | None:
    """Return how many known answers a study of that family found, and of how many; None if it is vacuous."""
    if reasons_against(findings):
        return None
    return sum(judged.finding is Finding.SUPPORTED for judged in findings.primary.values()), len(findings.primary)
