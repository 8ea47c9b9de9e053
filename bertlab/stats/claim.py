"""From verdicts to what was claimed: SUPPORTED, REFUTED or UNDECIDED.

Enters: what a study registered for each primary contrast, and the verdicts. Leaves: the finding per contrast and for
the study. Every support and every refutation is one one-sided test at the level of the verdict's interval, so each is
false with at most that probability.
"""

import math
from collections.abc import Iterable
from enum import Enum

import numpy as np
from scipy import special

from bertlab.stats.interval import Interval
from bertlab.stats.rule import Decides, Kind, one_of


class Expectation(Enum):
    """What a claim says of an arm, against the baseline."""

    WORSE = "worse"
    BETTER = "better"
    EQUIVALENT = "equivalent"
    NOT_WORSE = "not_worse"
    NOT_BETTER = "not_better"


class Finding(Enum):
    """What became of a claim."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"


WORSE = frozenset({Kind.WORSE_MATERIAL, Kind.WORSE_UNRESOLVED})
BETTER = frozenset({Kind.BETTER_MATERIAL, Kind.BETTER_UNRESOLVED})
EQUIVALENT = frozenset({Kind.EQUIVALENT})
NON_INFERIOR = frozenset({Kind.NON_INFERIOR})

SUPPORTS = {
    Expectation.WORSE: WORSE,
    Expectation.BETTER: BETTER,
    Expectation.EQUIVALENT: EQUIVALENT,
    Expectation.NOT_WORSE: EQUIVALENT | NON_INFERIOR | BETTER,
    Expectation.NOT_BETTER: EQUIVALENT | WORSE,
}
REFUTES = {
    Expectation.WORSE: EQUIVALENT | NON_INFERIOR | BETTER,
    Expectation.BETTER: EQUIVALENT | WORSE,  # NON-INFERIOR may still be better: undecided
    Expectation.EQUIVALENT: frozenset({Kind.WORSE_MATERIAL, Kind.BETTER_MATERIAL}),
    Expectation.NOT_WORSE: frozenset({Kind.WORSE_MATERIAL}),
    Expectation.NOT_BETTER: frozenset({Kind.BETTER_MATERIAL}),
}


def finding(expectation: Expectation, kind: Kind, low: float = -math.inf, margin: float = 0.0) -> Finding:
    """Return what a verdict says of the expectation; studies that cannot be judged leave it undecided.

    The table of verdicts has no mirror of NON-INFERIOR: an interval whose low end lies above -margin, and of which no
    more can be said, is INCONCLUSIVE, and yet shows that the arm is not materially better. `low` is oriented.
    """
    shown = expectation is Expectation.NOT_BETTER and kind is Kind.INCONCLUSIVE and low > -margin
    if kind in SUPPORTS[expectation] or shown:
        return Finding.SUPPORTED
    return Finding.REFUTED if kind in REFUTES[expectation] else Finding.UNDECIDED


def study_finding(findings: Iterable[Finding]) -> Finding:
    """Refuted if any primary contrast refutes, supported if all support, else undecided.

    Raises ValueError for a study without a primary contrast.
    """
    found = set(findings)
    if not found:
        raise ValueError("a study needs at least one primary contrast, got none; register one in `expects`")
    if Finding.REFUTED in found:
        return Finding.REFUTED
    return Finding.SUPPORTED if found == {Finding.SUPPORTED} else Finding.UNDECIDED


def decides(expectation: Expectation) -> Decides:
    """Return what tells where intervals decide the claim either way: where a study may stop, and what power is for.

    These are the intervals of which `finding` does not say UNDECIDED.
    """
    by_kind = one_of(SUPPORTS[expectation] | REFUTES[expectation])
    if expectation is not Expectation.NOT_BETTER:
        return by_kind
    return lambda low, high, margin: by_kind(low, high, margin) | (np.asarray(low) > -margin)


def claim_p(expectation: Expectation, interval: Interval, margin: float) -> float:
    """Return the one-sided p of the claim: the smallest level at which the interval leaves its opposite behind.

    The opposites, in terms of the true difference (positive = worse): worse d <= 0, better d >= 0, equivalent
    |d| >= margin (the larger of two p), not_worse d >= margin, not_better d <= -margin. `interval` is oriented, over at
    least two seeds. Raises ValueError without a spread.
    """
    if interval.df < 1:
        raise ValueError(f"a p-value needs at least two seeds, got {interval.n}")
    match expectation:
        case Expectation.WORSE:
            return _above(interval, 0.0)
        case Expectation.BETTER:
            return _below(interval, 0.0)
        case Expectation.NOT_WORSE:
            return _below(interval, margin)
        case Expectation.NOT_BETTER:
            return _above(interval, -margin)
        case Expectation.EQUIVALENT:
            return max(_below(interval, margin), _above(interval, -margin))


def _above(interval: Interval, bound: float) -> float:
    """Return the p-value against a true difference of at most `bound`."""
    return _tail(interval.mean - bound, interval)


def _below(interval: Interval, bound: float) -> float:
    """Return the p-value against a true difference of at least `bound`."""
    return _tail(bound - interval.mean, interval)


def _tail(distance: float, interval: Interval) -> float:
    se = interval.sd / math.sqrt(interval.n)
    if se == 0:
        return 0.0 if distance > 0 else 1.0
    return float(special.stdtr(interval.df, -distance / se))
