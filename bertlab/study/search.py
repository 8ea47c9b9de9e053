"""Search for the best value of a setting, such as the learning rate: the same few values for every arm.

If an arm is best at an end of the grid, it is also tried beyond it, by the grid's step, at most twice on each side.

Enters: a study that declares `search`, and its trials: every arm at every value, on seeds that no contrast uses.
Leaves: the study to run: every arm at the baseline's best value, and `<arm>_tuned` at the arm's own best value. A tuned
arm is compared with the tuned form of its comparison arm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bertlab.config.errors import InputError
from bertlab.study.design import Search, Study
from bertlab.study.outcome import outcome_of

EXTENSIONS = 2  # most values beyond each end of the grid


def trial(arm: str, value: float) -> str:
    """Return the name of an arm's trial at a value."""
    return f"{arm}@{value:g}"


def tuned(arm: str) -> str:
    """Return the name of an arm at its own best value, if that differs from the baseline's."""
    return f"{arm}_tuned"


def of_trials(study: Study, beyond: Mapping[str, Sequence[float]] = {}) -> Study:
    """Return the study whose arms are the trials, including those of `beyond`; it has no claim."""
    values = {arm: (*_search(study).values, *beyond.get(arm, ())) for arm in study.arms}
    arms = {trial(arm, value): _at(study, arm, value) for arm in study.arms for value in values[arm]}
    first = trial(study.baseline, _search(study).values[0])
    return replace(study, arms=arms, baseline=first, factors=_factors(study), expects={}, against={}, trend=None)


def all_values(study: Study) -> list[float]:
    """Return all values that an arm may try, ascending: the grid, and the allowed steps beyond it.

    A step is the ratio of the last two values. If a grid value is not positive, it is their difference, and values
    below zero are tried only if the grid has some.
    """
    values = _search(study).values
    below, above = list(values[1::-1]), list(values[-2:])
    for end in (below, above):
        for _ in range(EXTENSIONS):
            last, before = end[-1], end[-2]
            end.append(float(f"{last * last / before if min(values) > 0 else 2 * last - before:.6g}"))
    return sorted(value for value in {*below, *values, *above} if value >= min(0.0, *values))


def tried_values(study: Study, runs: pd.DataFrame, arm: str) -> list[float]:
    """Return the values that an arm tried or will try, ascending: the grid, and those beyond it that have runs."""
    there, grid = set(runs["arm"]), _search(study).values
    return [value for value in all_values(study) if value in grid or trial(arm, value) in there]


def beyond_ends(study: Study, runs: pd.DataFrame) -> dict[str, list[float]]:
    """Return the next value for each arm that is best at an end of its tried values and may continue."""
    steps, found = all_values(study), {}
    for arm, best in best_values(study, runs).items():
        tried, place = tried_values(study, runs, arm), steps.index(best)
        following = place - 1 if best == tried[0] else place + 1 if best == tried[-1] else -1
        if 0 <= following < len(steps):
            found[arm] = [steps[following]]
    return found


def best_values(study: Study, runs: pd.DataFrame) -> dict[str, float]:
    """Return the best value for each arm: the best mean outcome of its trials, the smaller value on a tie.

    A value with a diverged trial is worse than every value without one. `runs`: from a record that contains the trials.
    Raises InputError for missing trials.
    """
    found = {}
    for arm in study.arms:
        means = {value: mean_outcome(study, runs, trial(arm, value)) for value in tried_values(study, runs, arm)}
        sign = 1 if outcome_of(study.outcome).lower_is_better else -1
        found[arm] = min(means, key=lambda value: (means[value] is None, sign * (means[value] or 0.0)))
    return found


def mean_outcome(study: Study, runs: pd.DataFrame, name: str) -> float | None:
    """Return the mean outcome of an arm's runs; None if one diverged. Raises InputError for no runs."""
    own = runs[runs["arm"] == name]
    if own.empty:
        raise InputError(f"runs.arm must hold the trials of the search, {name} among them, got none; run the study")
    return None if own["diverged"].any() else float(own[study.outcome].astype(float).mean())


def settled(study: Study, best: Mapping[str, float]) -> Study:
    """Return the study after the search. An arm is tuned if its best value or that of its reference differs.

    The claim expects the same of a tuned arm as of its arm.
    """
    common = best[study.baseline]
    arms = {arm: _at(study, arm, common) for arm in study.arms}
    tuning = [arm for arm in study.arms if {best[arm], best[study.reference(arm)]} != {common}]
    arms |= {tuned(arm): _at(study, arm, best[arm]) for arm in tuning}
    expects = dict(study.expects)
    expects |= {tuned(arm): expectation for arm, expectation in study.expects.items() if arm in tuning}
    against = dict(study.against)
    for arm in tuning:
        reference = study.reference(arm)
        if reference != study.baseline:
            against[tuned(arm)] = tuned(reference) if reference in tuning else reference
    return replace(study, arms=arms, factors=_factors(study), expects=expects, against=against)


def at_most(study: Study) -> Study:
    """Return the study with the most arms that its search can leave: as if every best value differed."""
    first, second = _search(study).values[:2]
    return settled(study, {arm: first if arm == study.baseline else second for arm in study.arms})


def _at(study: Study, arm: str, value: float) -> tuple[str, ...]:
    return (*study.arms[arm], f"{_search(study).setting}={value:g}")


def _factors(study: Study) -> tuple[str, ...]:
    return (*study.factors, _search(study).setting)


def _search(study: Study) -> Search:
    assert study.search is not None, f"study {study.id} declares no search"
    return study.search
