"""Three numbers per training curve: its end, its mean, and the tokens to a target.

Enters: tokens at the evaluations [T], and a loss per run and evaluation [R, T]; lower is better (negate others).
Leaves: one number per run, to be paired over seeds like any outcome.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bertlab.stats.flips import Floats


@dataclass(frozen=True)
class Reached:
    """Tokens that each run needed for the target; infinite for runs that never reached it (`censored`).

    `early`: runs that had reached it by their first evaluation; their tokens are those of that evaluation, an upper
    bound.
    """

    tokens: tuple[float, ...]
    target: float
    seen: float  # tokens at the last evaluation
    early: tuple[bool, ...] = ()

    @property
    def censored(self) -> int:
        """Number of runs that never reached the target."""
        return sum(map(math.isinf, self.tokens))


def final(loss_RT: ArrayLike, last: int = 3) -> Floats:
    """Return the mean of each run's last evaluations [R]. Raises ValueError for more than there are."""
    y_RT = np.atleast_2d(np.asarray(loss_RT, dtype=np.float64))
    if not 1 <= last <= y_RT.shape[1]:
        raise ValueError(f"last must lie between 1 and the {y_RT.shape[1]} evaluations there are, got {last}")
    return np.asarray(y_RT[:, -last:].mean(axis=1))


def area(tokens_T: ArrayLike, loss_RT: ArrayLike) -> Floats:
    """Return the area under each curve over ln(tokens), by trapezoids, divided by the range of ln(tokens) [R].

    The division makes it a mean loss, in nats, so that a margin in nats applies. Raises ValueError as `checked` does.
    """
    token_T, y_RT = checked(tokens_T, loss_RT)
    log_T = np.log(token_T)
    return np.asarray(np.trapezoid(y_RT, log_T, axis=1) / (log_T[-1] - log_T[0]))


def half_budget_target(tokens_T: ArrayLike, baseline_RT: ArrayLike) -> float:
    """Return the median over the baseline's seeds of the loss at half of the tokens, linear in ln(tokens)."""
    token_T, y_RT = checked(tokens_T, baseline_RT)
    half = math.log(token_T[-1] / 2)
    if half < math.log(token_T[0]):
        raise ValueError(f"no evaluation lies before half of the {token_T[-1]:g} tokens; evaluate more often")
    return float(np.median([np.interp(half, np.log(token_T), y_T) for y_T in y_RT]))


def tokens_to_target(tokens_T: ArrayLike, loss_RT: ArrayLike, target: float) -> Reached:
    """Return when each run first reaches the target, linear in ln(tokens) between evaluations.

    A run that starts below the target reaches it at its first evaluation; a diverging run counts if it reached it
    before. Raises ValueError for tokens that do not ascend and for a target that is not finite.
    """
    if not math.isfinite(target):
        raise ValueError(f"the target must be finite, got {target}")
    y_RT = np.atleast_2d(np.asarray(loss_RT, dtype=np.float64))
    alive_RT = np.logical_and.accumulate(np.isfinite(y_RT), axis=1)
    token_T, y_RT = checked(tokens_T, np.where(alive_RT, y_RT, max(target, 0) + 1))
    there_RT = alive_RT & (y_RT <= target)
    crossings = tuple(
        _crossing(np.log(token_T), y_T, np.flatnonzero(there_T), target)
        for y_T, there_T in zip(y_RT, there_RT, strict=True)
    )
    return Reached(crossings, target, float(token_T[-1]), tuple(map(bool, there_RT[:, 0])))


def checked(tokens_T: ArrayLike, loss_RT: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as arrays. Raises ValueError unless tokens are positive and ascend and every loss is finite."""
    token_T, y_RT = np.asarray(tokens_T, dtype=np.float64), np.atleast_2d(np.asarray(loss_RT, dtype=np.float64))
    if token_T.size < 2 or not token_T[0] > 0 or not (np.diff(token_T) > 0).all():
        raise ValueError(f"tokens must be positive and ascend over two evaluations or more, got {token_T.tolist()}")
    if y_RT.shape[1:] != token_T.shape or not np.isfinite(y_RT).all():
        raise ValueError(f"losses must be finite, one per run and evaluation, got shape {y_RT.shape}")
    return token_T, y_RT


def _crossing(log_T: Floats, y_T: Floats, below: NDArray[np.intp], target: float) -> float:
    """Return the tokens at the first evaluation in `below`, or at the crossing of the line from the one before."""
    if not below.size:
        return math.inf
    after = int(below[0])
    if after == 0:
        return math.exp(log_T[0])
    share = (y_T[after - 1] - target) / (y_T[after - 1] - y_T[after])
    return math.exp(log_T[after - 1] + share * (log_T[after] - log_T[after - 1]))
