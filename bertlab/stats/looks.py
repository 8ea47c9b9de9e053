"""Looking early, at a price that is paid in advance.

Enters: the registered numbers of seeds at which results are looked at. Leaves: the level of each look.

Testing at .05 after every seed from 3 to 10 gives 17 % false positives. A constant two-sided level a per look restores
.05 over all looks (Pocock 1977, here for t tests of few seeds, by simulation). A verdict is made of one-sided tests: at
every look each is made at the same a, so the interval has level 1 - 2a. A one-sided test at a fires less often over
looks than the two-sided test at a does (large |t| of either sign at two looks coincide less often), so a false
EQUIVALENT and a false material WORSE each keep an overall probability of at most .05; one look gives back a = .05 and
the 90 % interval. This bounds any stopping rule that looks no oftener than registered.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import special

from bertlab.stats.flips import Floats

STUDIES = 400_000  # simulated; the level's standard error is about .7 % of it
BATCH = 50_000
REGISTERED = {  # two-sided level of each look that gives .05 over all
    (3, 10): 0.0257,
    (5, 10): 0.0279,
    (3, 6, 10): 0.0192,
    (4, 7, 10): 0.0210,
    (3, 4, 5, 6, 7, 8, 9, 10): 0.0118,
}


def look_alpha(looks: Sequence[int], overall: float = 0.05) -> float:
    """Return the level of each look: two-sided tests, and each one-sided test of a verdict, are made at it.

    `looks`: ascending numbers of seeds, at least two each. One look is tested at `overall`; registered schedules at
    .05 are tabulated, anything else is simulated once per process. A contrast of a family passes its Holm level as
    `overall`. Raises ValueError for looks that do not ascend or a level outside (0, 1).
    """
    if not 0 < overall < 1:
        raise ValueError(f"the overall level must lie in (0, 1), got {overall}")
    schedule = _schedule(looks)
    if len(schedule) == 1:
        return overall
    return REGISTERED[schedule] if overall == 0.05 and schedule in REGISTERED else simulated_alpha(schedule, overall)


def simulated_alpha(looks: Sequence[int], overall: float = 0.05, studies: int = STUDIES, seed: int = 1977) -> float:
    """Return the `overall` quantile of the smallest p over looks: two-sided t tests, normal data, no effect."""
    return float(np.quantile(_smallest_p(_schedule(looks), studies, seed), overall))


def interval_level(looks: Sequence[int], overall: float = 0.05) -> float:
    """Return the level of the interval that a verdict reads at each look: 1 - 2 * look_alpha."""
    return 1 - 2 * look_alpha(looks, overall)


def overall_p(p: float, looks: Sequence[int]) -> float:
    """Return the level over all looks at which a look's p would just be enough; what Holm compares in a family."""
    schedule = _schedule(looks)
    if len(schedule) == 1:
        return p
    smallest_p = _smallest_p(schedule, STUDIES, 1977)
    return max(p, float(np.searchsorted(smallest_p, p, side="right")) / smallest_p.size)


def _schedule(looks: Sequence[int]) -> tuple[int, ...]:
    schedule = tuple(looks)
    if not schedule or schedule[0] < 2 or list(schedule) != sorted(set(schedule)):
        raise ValueError(f"looks must be ascending numbers of seeds from 2 on, got {list(schedule)}; e.g. 5, 10")
    return schedule


@cache
def _smallest_p(looks: tuple[int, ...], studies: int, seed: int) -> Floats:
    """Return the smallest two-sided p of each simulated study, in ascending order."""
    rng = np.random.Generator(np.random.Philox(seed))
    smallest_p = np.concatenate(
        [
            _batch(looks, rng.standard_normal((min(BATCH, studies - done), looks[-1])))
            for done in range(0, studies, BATCH)
        ]
    )
    smallest_p.sort()
    return smallest_p


def _batch(looks: tuple[int, ...], value_RS: Floats) -> Floats:
    n_L = np.array(looks)
    mean_RL = value_RS.cumsum(axis=1)[:, n_L - 1] / n_L
    square_RL = (value_RS**2).cumsum(axis=1)[:, n_L - 1] / n_L
    t_RL = mean_RL / np.sqrt((square_RL - mean_RL**2) / (n_L - 1))
    return np.asarray(2 * special.stdtr(n_L - 1, -np.abs(t_RL)).min(axis=1))
