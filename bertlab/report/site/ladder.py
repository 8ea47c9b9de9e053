"""The data of a ladder's chart: effects at every rung, predictions, and the line with its band.

Enters: a `Ladder`. Leaves: JSON values; effects are ln token multipliers, positive is better.
"""

from typing import Any

import numpy as np

from bertlab.report.ladder import moves
from bertlab.report.site.data import Number, rounded
from bertlab.stats.interval import Interval
from bertlab.stats.ladder import PREDICTED
from bertlab.study.labels import label
from bertlab.study.ladder import FEWEST, Ladder

BEYOND, POINTS = 4.0, 12  # the line ends at this multiple of the highest rung; number of its points


def ladder_data(ladder: Ladder) -> dict[str, Any]:
    """Return arms with their rungs, trend and band, and all registered predictions."""
    arms = {
        arm: {
            "label": label(ladder.study, arm),
            "trend": moves(ladder, arm),
            "rungs": [[name, rounded(rung.compute), *_ends(rung.interval())] for name, rung in rungs.items()],
            "band": _band(ladder, arm),
        }
        for arm, rungs in ladder.arms.items()
        if rungs
    }
    predicted = [
        [each.arm, each.rung, rounded(each.compute), *map(rounded, (each.mean, each.low, each.high))]
        for each in ladder.predictions
    ]
    return {"arms": arms, "predicted": predicted}


def _band(ladder: Ladder, arm: str) -> list[list[Number]]:
    """Return the line through an arm's rungs with its 80 % band; nothing for only two rungs."""
    line, rungs = ladder.line(arm), [*ladder.arms[arm].values()]
    if not line or len(rungs) <= FEWEST:
        return []
    computes = [rung.compute for rung in rungs]
    along = np.geomspace(min(computes), BEYOND * max(computes), POINTS).tolist()
    return [[rounded(compute, 4), *_ends(line.predicted(compute, rungs[-1].se, PREDICTED))] for compute in along]


def _ends(interval: Interval) -> list[Number]:
    return [rounded(value, 4) for value in (interval.mean, interval.low, interval.high)]
