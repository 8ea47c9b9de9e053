"""The points of a run's curve: when the common evaluation runs, and what it may cost. Imports no torch."""

import numpy as np

FIRST, EARLIEST = 0.1, 0.01  # start of a short and of a long curve, as shares of the budget
SPACING = 0.15  # relative distance of points in tokens; with more points the curve starts earlier instead
POINT = 2.1  # cost of a point, in passes over the text: hidden tokens, pairs, and attention
PAIRS_A_TEXT = 2  # per final text: a pair gives less information, one answer out of two
LAST = 4.5  # passes at the end, besides those of the rates: 80-10-10, visible, shuffled, half length, batch statistics


def steps_to_evaluate(
    total: int, batch_tokens: int, text_tokens: int, *, share: float, last_passes: float
) -> list[int]:
    """Return the steps (counted from 1) after which to evaluate: the last, and as many others as the share allows.

    A forward pass costs about a third of a training step. `last_passes` over the text are reserved for the end. Points
    are evenly spaced in log(tokens). They start at 10 % of the budget. If there are more than a spacing of 15 % needs,
    they keep that spacing and start earlier, at 1 % at the earliest, where models leave the plateau.
    """
    affordable = share * total * batch_tokens / (text_tokens / 3) - last_passes
    points = max(int(affordable / POINT), 1)
    first = min(FIRST, max(EARLIEST, (1 + SPACING) ** (1 - points)))
    return sorted({round(step) for step in np.geomspace(total, max(first * total, 1), points)})
