"""From intervals to a claim's status: SUPPORTED, REFUTED or UNDECIDED.

Enters: the registered expectation for each primary arm, and the mean difference with its standard error. Leaves: for
each arm a p-value of support and one of refutation, and the findings for the arm and the study.

Each claim is tested by its content. "Worse" is about the sign: supported above zero, refuted below. "Materially worse"
is about the margin: supported above it, refuted below. Swapping worse and better swaps the tests. A claim about several
arms is supported if each arm supports it, each at the study's level (intersection-union; Berger 1982); one arm refutes
it, so refuting p-values are corrected for the number of arms (Holm).
"""

from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bertlab.stats.flips import Floats
from bertlab.stats.multiple import holm
from bertlab.stats.rule import Decides

Truths = NDArray[np.bool_]
ALPHA = 0.05  # error probability of a false support, and of a false refutation, over all looks


class Expectation(Enum):
    """What a claim expects of an arm, relative to the baseline."""

    WORSE = "worse"
    BETTER = "better"
    MATERIALLY_WORSE = "materially_worse"
    MATERIALLY_BETTER = "materially_better"
    EQUIVALENT = "equivalent"
    NOT_WORSE = "not_worse"  # not materially
    NOT_BETTER = "not_better"


class Finding(Enum):
    """The status of a claim."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"


WORSE_SIDE = frozenset({Expectation.WORSE, Expectation.MATERIALLY_WORSE, Expectation.NOT_BETTER})
BOUND = {  # margins: true difference at the bound of the claim
    Expectation.WORSE: 0,
    Expectation.BETTER: 0,
    Expectation.MATERIALLY_WORSE: 1,
    Expectation.MATERIALLY_BETTER: -1,
    Expectation.NOT_WORSE: 1,
    Expectation.NOT_BETTER: -1,
}


def claim_p(
    expectation: Expectation, mean: ArrayLike, se: ArrayLike, df: ArrayLike, margin: float
) -> tuple[Floats, Floats]:
    """Return the one-sided p of the claim's support and of its refutation, for differences of any shape.

    Positive differences are worse. A one-sided claim is refuted by the support of its opposite. EQUIVALENT is supported
    by two one-sided tests (the larger p; Schuirmann 1987) and refuted by a difference beyond either margin: that p is
    P(beyond the nearer) + P(beyond the farther), its largest value over all differences within the margin.
    """
    mean, se, df = (np.asarray(value, dtype=np.float64) for value in (mean, se, df))
    if expectation is Expectation.EQUIVALENT:
        support = np.maximum(_p_above(mean, se, df, -margin), _p_above(-mean, se, df, -margin))
        beyond = _p_above(np.abs(mean), se, df, margin) + _p_above(np.abs(mean), se, df, -margin)
        return support, np.minimum(beyond, 1.0)
    bound = BOUND[expectation] * margin
    above, below = _p_above(mean, se, df, bound), _p_above(-mean, se, df, -bound)
    return (above, below) if expectation in WORSE_SIDE else (below, above)


def decided(support_RA: ArrayLike, refutation_RA: ArrayLike, alpha: float = ALPHA) -> tuple[Truths, Truths]:
    """Return whether arms support and whether they refute a claim about all arms of the last axis.

    The p-values are over all looks (bertlab/stats/looks.py). Each support has the full level; refutations share it by
    Holm's rule.
    """
    return np.asarray(support_RA) <= alpha, holm(refutation_RA) <= alpha


def findings(support_A: Sequence[float], refutation_A: Sequence[float]) -> list[Finding]:
    """Return the finding of each arm."""
    supports_A, refutes_A = decided(support_A, refutation_A)
    return [
        Finding.REFUTED if refutes else Finding.SUPPORTED if supports else Finding.UNDECIDED
        for supports, refutes in zip(supports_A, refutes_A, strict=True)
    ]


def study_finding(found: Iterable[Finding]) -> Finding:
    """Return REFUTED if any primary arm refutes, SUPPORTED if all support, else UNDECIDED.

    Raises ValueError for a study without a primary arm.
    """
    kinds = set(found)
    if not kinds:
        raise ValueError("a study needs at least one primary contrast, got none; register one in `expects`")
    if Finding.REFUTED in kinds:
        return Finding.REFUTED
    return Finding.SUPPORTED if kinds == {Finding.SUPPORTED} else Finding.UNDECIDED


def study_p(support_A: Sequence[float], refutation_A: Sequence[float], found: Finding) -> float:
    """Return one p for a study: that of its status, doubled, because two decisions were possible.

    A support has the p of its weakest arm, a refutation that of its strongest arm after Holm's rule; an undecided claim
    has the smaller of both.
    """
    supported, refuted = max(support_A), float(np.min(holm(refutation_A)))
    reached = {Finding.SUPPORTED: supported, Finding.REFUTED: refuted}.get(found, min(supported, refuted))
    return min(1.0, 2 * reached)


def decides(expectation: Expectation) -> Decides:
    """Return a function that says which intervals decide a claim about one arm, in either direction."""

    def test(low: ArrayLike, high: ArrayLike, margin: float) -> Truths:
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        if expectation is Expectation.EQUIVALENT:
            return np.asarray(((-margin < low) & (high < margin)) | (low > margin) | (high < -margin))
        bound = BOUND[expectation] * margin
        return np.asarray((low > bound) | (high < bound))

    return test


def stands_beyond(expectation: Expectation, found: Finding, ends: tuple[float, float], ruler: Sequence[float]) -> bool:
    """Return whether a finding is still valid if the A/A control was not equivalent but had the interval `ruler`.

    Only a difference can be: its interval must exclude zero and all of `ruler`, on the side of the finding. `ends` and
    `ruler` are oriented intervals; without a measured ruler no finding is valid.
    """
    low, high = ends
    worse, better = low > 0 and low > ruler[1], high < 0 and high < ruler[0]
    if expectation is Expectation.EQUIVALENT:
        return found is Finding.REFUTED and (worse or better)
    towards_worse = (expectation in WORSE_SIDE) == (found is Finding.SUPPORTED)
    return worse if towards_worse else better


def _p_above(mean: Floats, se: Floats, df: Floats, bound: float) -> Floats:
    """Return the p-value against true differences of at most `bound`; 0 or 1 without a spread."""
    apart = mean - bound
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se > 0, apart / se, np.where(apart > 0, np.inf, -np.inf))
    return np.asarray(special.stdtr(df, -t))
