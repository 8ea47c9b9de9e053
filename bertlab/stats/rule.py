"""The decision rule: the position of a difference's interval, relative to zero and the margin, gives the verdict.

Enters: both ends of an interval, oriented so that positive means worse than the baseline, and the margin delta > 0.
Leaves: the kind of verdict. An interval of level 1 - 2a is a pair of one-sided tests at a each (two one-sided tests;
Schuirmann 1987; Lakens 2017), so EQUIVALENT at a true difference of delta, and WORSE (material) there, each have
probability at most a.
"""

from collections.abc import Callable, Collection
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Decides = Callable[[ArrayLike, ArrayLike, float], NDArray[np.bool_]]  # (low, high, margin), intervals of any shape


class Kind(Enum):
    """All verdicts, in the order in which they are tried."""

    INVALID = "INVALID"
    VACUOUS = "VACUOUS"
    UNSTABLE = "UNSTABLE"
    UNTESTABLE = "UNTESTABLE"
    WORSE_MATERIAL = "WORSE (material)"
    BETTER_MATERIAL = "BETTER (material)"
    EQUIVALENT = "EQUIVALENT"
    WORSE_AT_MARGIN = "WORSE, AT THE MARGIN"
    BETTER_AT_MARGIN = "BETTER, AT THE MARGIN"
    WORSE_UNRESOLVED = "WORSE (size unresolved)"
    BETTER_UNRESOLVED = "BETTER (size unresolved)"
    NON_INFERIOR = "NON-INFERIOR"
    NON_SUPERIOR = "NON-SUPERIOR"
    INCONCLUSIVE = "INCONCLUSIVE"


BY_INTERVAL = tuple(Kind)[4:]  # verdicts that an interval decides, in order
SETTLED = frozenset({Kind.WORSE_MATERIAL, Kind.BETTER_MATERIAL, Kind.EQUIVALENT})  # direction and size are known
# true difference near the margin: more seeds do not decide
AT_THE_MARGIN = frozenset({Kind.WORSE_AT_MARGIN, Kind.BETTER_AT_MARGIN})
WORSE = frozenset({Kind.WORSE_MATERIAL, Kind.WORSE_AT_MARGIN, Kind.WORSE_UNRESOLVED})


def codes(low: ArrayLike, high: ArrayLike, margin: ArrayLike) -> NDArray[np.intp]:
    """Return the position in `BY_INTERVAL` of the first rule that matches, for intervals of any shape.

    AT THE MARGIN: the interval is narrower than the margin and contains it, so it excludes zero.
    """
    low, high, margin = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (low, high, margin)))
    narrow = high - low < margin
    rules = [
        low > margin,
        high < -margin,
        (-margin < low) & (high < margin),
        narrow & (high >= margin),
        narrow & (low <= -margin),
        low > 0,
        high < 0,
        high < margin,
        low > -margin,
    ]
    return np.asarray(np.select(rules, list(range(len(rules))), default=len(rules)), dtype=np.intp)


def one_of(kinds: Collection[Kind]) -> Decides:
    """Return a function that says whether the verdict on an interval is one of `kinds`."""
    positions = [BY_INTERVAL.index(each) for each in kinds if each in BY_INTERVAL]
    return lambda low, high, margin: np.isin(codes(low, high, margin), positions)


settled = one_of(SETTLED)


def kind(low: float, high: float, margin: float) -> Kind:
    """Return the verdict on one interval."""
    return BY_INTERVAL[int(codes(low, high, margin))]
