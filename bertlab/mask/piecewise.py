"""A rate that follows any curve during the run, given by points with straight lines between them.

Other curves are approximated by more points; a jump is two points that are close to each other.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from bertlab.config.errors import InputError, at, closed_interval, open_interval, own
from bertlab.data.masking import Masked, Moment
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Ints, corrupt
from bertlab.mask.rated import rated

EXAMPLE = "write for example [[0, 0.3], [0.5, 0.15], [1, 0.15]]"


class Piecewise:
    """Choose like `policy`, at the rate of a piecewise linear curve.

    `points` are pairs (share of the run, rate), in order, from share 0 to share 1. The rate of `policy` is not used.
    """

    def __init__(self, *, policy: object, points: Sequence[Sequence[float]]) -> None:
        self.policy = rated("policy", policy)
        self.share_P, self.rate_P = read_points("points", points)

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Moment) -> Masked:
        """Return the corrupted copy."""
        rate = float(np.interp(draw.progress, self.share_P, self.rate_P))
        with at("policy"):
            chosen_BL = self.policy.level(ids_BL, vocabulary, draw) < rate
        return corrupt(ids_BL, chosen_BL, self.policy.split, vocabulary, draw)


def read_points(key: str, points: object) -> tuple[list[float], list[float]]:
    """Return the shares of the run and the rates there. Raises InputError."""
    pairs = [] if isinstance(points, str) or not isinstance(points, Sequence) else list(points)
    if len(pairs) < 2 or not all(_is_pair(pair) for pair in pairs):
        raise InputError(f"{own(key)} must be two or more pairs (share of the run, rate), got {points}; {EXAMPLE}")
    shares = [closed_interval(f"{key} (share)", share, 0, 1) for share, _ in pairs]
    rates = [open_interval(f"{key} (rate)", rate, 0, 1) for _, rate in pairs]
    rises = all(share < later for share, later in pairwise(shares))
    if (shares[0], shares[-1]) != (0, 1) or not rises:
        listed = ", ".join(f"{share:g}" for share in shares)
        raise InputError(f"{own(key)} must have shares that rise from 0 to 1, got {listed}; {EXAMPLE}")
    return shares, rates


def _is_pair(pair: object) -> bool:
    return isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2
