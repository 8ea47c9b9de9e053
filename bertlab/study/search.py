"""The search for the best value of a setting, such as the learning rate: the same few values for every arm.

Enters: a study that declares `search`, and its trials: every arm at every value, on seeds that no contrast uses.
Leaves: the study as it is confirmed: every arm at the value that is best for the baseline, and `<arm>_tuned` at the
arm's own best. A tuned arm is compared with the tuned form of what its arm is compared with.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from bertlab.errors import InputError
from bertlab.study.design import Search, Study
from bertlab.study.outcome import outcome_of


def trial(arm: str, value: float) -> str:
    """Return what the trial of an arm at a value is called."""
    return f"{arm}@{value:g}"


def tuned(arm: str) -> str:
    """Return what an arm is called at its own best value, where that is not the baseline's."""
    return f"{arm}_tuned"


def of_trials(study: Study) -> Study:
    """Return the study whose arms are the trials; it claims nothing."""
    arms = {trial(arm, value): _at(study, arm, value) for arm in study.arms for value in _search(study).values}
    first = trial(study.baseline, _search(study).values[0])
    return replace(study, arms=arms, baseline=first, factors=_factors(study), expects={}, against={}, trend=None)


def best_values(study: Study, runs: pd.DataFrame) -> dict[str, float]:
    """Return the best value for each arm: where its trials have the best mean outcome, the smaller one of equals.

    A value at which a trial diverged loses against every one at which none did. `runs`: of a record, the trials among
    them. Raises InputError where trials are missing.
    """
    found = {}
    for arm in study.arms:
        means = {value: mean_outcome(study, runs, trial(arm, value)) for value in _search(study).values}
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
