"""The prior of a regime: the usual variance of paired differences there, over all contrasts of committed studies.

Enters: the records of a reports folder. Leaves: the `prior` that a study of the same regime and outcome registers. The
regime is corpus, model, budget and optimiser. Every arm and control counts once, also if several studies share it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bertlab.stats.contrast import Contrast, contrast
from bertlab.stats.moderated import FEWEST_CONTRASTS, NO_PRIOR, Prior, fit_prior
from bertlab.study.record import FILES, HARMFUL, SAME, Record, read_record
from bertlab.study.regime import Budget, ModelSize, Regime, read_regime

FEWEST = 3  # least seeds of a contrast that counts
TELLS = "eval/mlm_loss"  # identifies a run, to seven digits: equal runs in two studies have equal values
Key = tuple[float, ...]
PriorKey = tuple[str, ModelSize | None, Budget | None, str]


def prior_key(fingerprint: str, regime: Regime) -> PriorKey:
    """Return what two studies must share for a common prior: hash of the data, model, budget, name of the optimiser."""
    return fingerprint, regime.model, regime.budget, regime.optimizer.name if regime.optimizer else ""


def prior_in(reports: Path, shared: PriorKey, outcome: str) -> Prior:
    """Fit the prior of a regime to the studies and rungs in a reports folder."""
    folders = [path.parent for path in sorted(reports.rglob(FILES[0])) if _key(path) == shared]
    return regime_prior(map(read_record, folders), shared, outcome)


def _key(path: Path) -> PriorKey:
    about = json.loads(path.read_text(encoding="utf-8"))
    return prior_key(about["facts"].get("fingerprint", ""), read_regime(about["regime"]))


def regime_prior(records: Iterable[Record], shared: PriorKey, outcome: str) -> Prior:
    """Fit the prior of an outcome to the contrasts of a regime; no prior for fewer than ten contrasts.

    An arm of several studies counts once, with its largest number of seeds. Arms with the same pre-training, so the
    same loss, count separately if their outcomes differ.
    """
    found: dict[Key, Contrast] = {}
    for record in records:
        if prior_key(record.facts.get("fingerprint", ""), record.regime) == shared and outcome in record.runs:
            for key, own in _contrasts(record, outcome).items():
                if key not in found or found[key].n < own.n:
                    found[key] = own
    known = [own for own in found.values() if own.sd > 0]
    if len(known) < FEWEST_CONTRASTS:
        return NO_PRIOR
    return fit_prior([own.sd**2 for own in known], [own.n - 1 for own in known])


def _contrasts(record: Record, outcome: str) -> Mapping[Key, Contrast]:
    study, found = record.study, {}
    for name in (*(arm for arm in study.arms if arm != study.baseline), SAME, HARMFUL):
        arm, reference = (_measured(record, each, outcome) for each in (name, study.reference(name)))
        seeds = arm.index.intersection(reference.index)
        if len(seeds) >= FEWEST:
            compared = [record.arm(each).loc[seeds[0]] for each in (name, study.reference(name))]
            key = tuple(float(runs[metric]) for runs in compared for metric in (TELLS, outcome))
            found[key] = contrast(arm[seeds], reference[seeds])
    return found


def _measured(record: Record, name: str, outcome: str) -> "pd.Series[float]":
    runs = record.arm(name)
    return runs.loc[~runs["diverged"], outcome].dropna()
