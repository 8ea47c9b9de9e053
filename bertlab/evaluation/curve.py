"""The points of a run's curve: when the common evaluation is made, and what it may cost. Imports no torch."""

import numpy as np

FIRST, EARLIEST = 0.1, 0.01  # of the budget: where a short curve begins, and where a long one does
SPACING = 0.15  # of tokens, from point to point: finer than this a curve begins earlier instead
POINT = 2.1  # passes over the text at a point of the curve: hidden tokens, pairs, and a look into attention
PAIRS_A_TEXT = 2  # of the final text: a pair says less, one answer of two
LAST = 4.5  # passes at the end, beside those of the rates: 80-10-10, visible, shuffled, half as long, batch statistics


def steps_to_evaluate(
    total: int, batch_tokens: int, text_tokens: int, *, share: float, last_passes: float
) -> list[int]:
    """Return the steps (counted from 1) to evaluate after: the last, and as many before as the share allows.

    A forward pass costs about a third of a training step; `last_passes` over the text are kept for the end. Points are
    evenly spaced in log(tokens). They begin at 10 % of the budget; where there are more than a spacing of 15 % needs,
    they begin as much earlier as that spacing reaches, at 1 % at the earliest, where models leave the plateau.
    """
    affordable = share * total * batch_tokens / (text_tokens / 3) - last_passes
    points = max(int(affordable / POINT), 1)
    first = min(FIRST, max(EARLIEST, (1 + SPACING) ** (1 - points)))
    return sorted({round(step) for step in np.geomspace(total, max(first * total, 1), points)})
