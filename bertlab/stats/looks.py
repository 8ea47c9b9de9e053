"""Early looks at results, with corrected levels.

Enters: the registered numbers of seeds after which results are judged. Leaves: the level of each look.

Testing at .05 after every seed from 3 to 10 finds an effect on one given side in 15 % of studies without any. A
constant level a per look restores .05 over all looks (Pocock 1977; here for t tests of few seeds, by simulation). Every
support and every refutation is a one-sided test at a, so the interval of a verdict has level 1 - 2a; with one look, a =
.05 and the interval is 90 %. This holds for any stopping rule with at most the registered looks. The simulated tests
use only the seeds' own spread: moderated variances have more degrees of freedom and need less correction, so for them
the level is conservative.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import special

from bertlab.stats.flips import Floats

STUDIES = 400_000  # simulated; the level's standard error is about .7 % of the level
BATCH = 50_000
SEED = 1977


def look_alpha(looks: Sequence[int], overall: float = 0.05) -> float:
    """Return the one-sided level of each look for `overall` over all: the quantile of the smallest p.

    `looks`: ascending numbers of seeds, at least two each. More than one look is simulated, once per process.
    Raises ValueError for looks that do not ascend or a level outside (0, 1).
    """
    if not 0 < overall < 1:
        raise ValueError(f"the overall level must lie in (0, 1), got {overall}")
    schedule = _schedule(looks)
    return overall if len(schedule) == 1 else _level(schedule, overall)


def interval_level(looks: Sequence[int], overall: float = 0.05) -> float:
    """Return the level of a verdict's interval at each look: 1 - 2 * look_alpha."""
    return 1 - 2 * look_alpha(looks, overall)


def overall_p(p: float, looks: Sequence[int]) -> float:
    """Return the level over all looks at which a look's one-sided p would just be significant."""
    return float(overall_p_of(np.asarray(p), looks))


def overall_p_of(p: Floats, looks: Sequence[int]) -> Floats:
    """Return `overall_p` of an array of any shape."""
    schedule = _schedule(looks)
    if len(schedule) == 1:
        return p
    smallest_p = _smallest_p(schedule, STUDIES, SEED)
    return np.maximum(p, np.searchsorted(smallest_p, p) / smallest_p.size)


def _schedule(looks: Sequence[int]) -> tuple[int, ...]:
    schedule = tuple(looks)
    if not schedule or schedule[0] < 2 or list(schedule) != sorted(set(schedule)):
        raise ValueError(f"looks must be ascending numbers of seeds from 2 on, got {list(schedule)}; e.g. 5, 10")
    return schedule


@cache
def _level(looks: tuple[int, ...], overall: float) -> float:
    # "higher": a p is at most this level exactly if `overall_p` is at most `overall`
    return float(np.quantile(_smallest_p(looks, STUDIES, SEED), overall, method="higher"))


@cache
def _smallest_p(looks: tuple[int, ...], studies: int, seed: int) -> Floats:
    """Return the smallest one-sided p of each simulated study, in ascending order."""
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
    return np.asarray(special.stdtr(n_L - 1, -t_RL).min(axis=1))
