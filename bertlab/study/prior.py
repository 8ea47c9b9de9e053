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

FEWEST = 3  # least seeds of a contrast that counts
TELLS = "eval/mlm_loss"  # identifies a run, to seven digits: equal runs in two studies have equal values
Key = tuple[float, ...]


def regime_of(facts: Mapping[str, str]) -> tuple[str, ...]:
    """Return what two studies must share for a common prior, from the records' facts about the baseline."""
    return *(facts.get(name, "") for name in ("fingerprint", "model", "budget")), optimizer_of(facts)


def optimizer_of(facts: Mapping[str, str]) -> str:
    """Return the name of the optimiser, without its learning rate: adamw."""
    return facts.get("optimizer", "").partition(",")[0]


def prior_in(reports: Path, regime: tuple[str, ...], outcome: str) -> Prior:
    """Fit the prior of a regime to the studies and rungs in a reports folder."""
    folders = [path.parent for path in sorted(reports.rglob(FILES[0])) if regime_of(_facts(path)) == regime]
    return regime_prior(map(read_record, folders), regime, outcome)


def _facts(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8"))["facts"])


def regime_prior(records: Iterable[Record], regime: tuple[str, ...], outcome: str) -> Prior:
    """Fit the prior of an outcome to the contrasts of a regime; no prior for fewer than ten contrasts.

    An arm of several studies counts once, with its largest number of seeds. Arms with the same pre-training, so the
    same loss, count separately if their outcomes differ.
    """
    found: dict[Key, Contrast] = {}
    for record in records:
        if regime_of(record.facts) == regime and outcome in record.runs:
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
