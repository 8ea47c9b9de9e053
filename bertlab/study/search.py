"""The search for the best value of a setting, such as the learning rate: the same few values for every arm.

An arm that is best at an end of them is tried beyond it, by the grid's own step, twice at most on each side.

Enters: a study that declares `search`, and its trials: every arm at every value, on seeds that no contrast uses.
Leaves: the study as it is confirmed: every arm at the value that is best for the baseline, and `<arm>_tuned` at the
arm's own best. A tuned arm is compared with the tuned form of what its arm is compared with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bertlab.config.errors import InputError
from bertlab.study.design import Search, Study
from bertlab.study.outcome import outcome_of

EXTENSIONS = 2  # values beyond each end of the grid that an arm may be tried at


def trial(arm: str, value: float) -> str:
    """Return what the trial of an arm at a value is called."""
    return f"{arm}@{value:g}"


def tuned(arm: str) -> str:
    """Return what an arm is called at its own best value, where that is not the baseline's."""
    return f"{arm}_tuned"


def of_trials(study: Study, beyond: Mapping[str, Sequence[float]] = {}) -> Study:
    """Return the study whose arms are the trials, those of `beyond` too; it claims nothing."""
    values = {arm: (*_search(study).values, *beyond.get(arm, ())) for arm in study.arms}
    arms = {trial(arm, value): _at(study, arm, value) for arm in study.arms for value in values[arm]}
    first = trial(study.baseline, _search(study).values[0])
    return replace(study, arms=arms, baseline=first, factors=_factors(study), expects={}, against={}, trend=None)


def all_values(study: Study) -> list[float]:
    """Return all values that an arm may be tried at, ascending: the grid, and as many steps beyond as are allowed.

    A step is the ratio of the last two values; where one of the grid is not positive, their difference, and nothing
    below zero is tried that the grid is not below.
    """
    values = _search(study).values
    below, above = list(values[1::-1]), list(values[-2:])
    for end in (below, above):
        for _ in range(EXTENSIONS):
            last, before = end[-1], end[-2]
            end.append(float(f"{last * last / before if min(values) > 0 else 2 * last - before:.6g}"))
    return sorted(value for value in {*below, *values, *above} if value >= min(0.0, *values))


def tried_values(study: Study, runs: pd.DataFrame, arm: str) -> list[float]:
    """Return the values that an arm was or is to be tried at, ascending: the grid, and those beyond that have runs."""
    there, grid = set(runs["arm"]), _search(study).values
    return [value for value in all_values(study) if value in grid or trial(arm, value) in there]


def beyond_ends(study: Study, runs: pd.DataFrame) -> dict[str, list[float]]:
    """Return the next value for each arm that is best at an end of what it was tried at and may go on."""
    steps, found = all_values(study), {}
    for arm, best in best_values(study, runs).items():
        tried, place = tried_values(study, runs, arm), steps.index(best)
        following = place - 1 if best == tried[0] else place + 1 if best == tried[-1] else -1
        if 0 <= following < len(steps):
            found[arm] = [steps[following]]
    return found


def best_values(study: Study, runs: pd.DataFrame) -> dict[str, float]:
    """Return the best value for each arm: where its trials have the best mean outcome, the smaller one of equals.

    A value at which a trial diverged loses against every one at which none did. `runs`: of a record, the trials among
    them. Raises InputError where trials are missing.
    """
    found = {}
    for arm in study.arms:
        means = {value: mean_outcome(study, runs, trial(arm, value)) for value in tried_values(study, runs, arm)}
        sign = 1 if outcome_of(study.outcome).lower_is_better else -1
        found[arm] = min(means, key=lambda value: (means[value] is None, sign * (means[value] or 0.0)))
    return found


def mean_outcome(study: Study, runs: pd.DataFrame, name: str) -> float | None:
    """Return the mean outcome of an arm's runs, None where one of them diverged. Raises InputError for no runs."""
    own = runs[runs["arm"] == name]
    if own.empty:
        raise InputError(f"runs.arm must hold the trials of the search, {name} among them, got none; run the study")
    return None if own["diverged"].any() else float(own[study.outcome].astype(float).mean())


def settled(study: Study, best: Mapping[str, float]) -> Study:
    """Return the study as it is confirmed. An arm is tuned where its best value or that of its reference differs.

    What the claim expects of an arm it expects of the tuned one too.
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
    """Return the study with the most arms that its search can leave: as if all were best at another value."""
    first, second = _search(study).values[:2]
    return settled(study, {arm: first if arm == study.baseline else second for arm in study.arms})


def _at(study: Study, arm: str, value: float) -> tuple[str, ...]:
    return (*study.arms[arm], f"{_search(study).setting}={value:g}")


def _factors(study: Study) -> tuple[str, ...]:
    return (*study.factors, _search(study).setting)


def _search(study: Study) -> Search:
    assert study.search is not None, f"study {study.id} declares no search"
    return study.search
