"""The prior of a regime: how much paired differences usually vary there, over all contrasts of committed studies.

Enters: records of one folder of reports. Leaves: what a study of the same regime and outcome registers as `prior`. The
regime is corpus, model and budget; every arm and control of every study in it counts once, whatever study it is in.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bertlab.stats.contrast import Contrast, contrast
from bertlab.stats.moderated import FEWEST_CONTRASTS, NO_PRIOR, Prior, fit_prior
from bertlab.study.record import FILES, HARMFUL, SAME, Record, read_record

FEWEST = 3  # seeds of a contrast that counts
TELLS = "eval/mlm_loss"  # of a run, to seven digits: equal runs in two studies have equal ones, and equal outcomes
Key = tuple[float, ...]


def regime_of(facts: Mapping[str, str]) -> tuple[str, ...]:
    """Return what two studies must share to share a prior, from what their records say of the baseline."""
    return tuple(facts.get(name, "") for name in ("fingerprint", "model", "budget"))


def prior_in(reports: Path, regime: tuple[str, ...], outcome: str) -> Prior:
    """Fit the prior of a regime over the studies and rungs of a folder of reports."""
    folders = [path.parent for path in sorted(reports.rglob(FILES[0])) if regime_of(_facts(path)) == regime]
    return regime_prior(map(read_record, folders), regime, outcome)


def _facts(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8"))["facts"])


def regime_prior(records: Iterable[Record], regime: tuple[str, ...], outcome: str) -> Prior:
    """Fit the prior of an outcome over the contrasts of a regime; none where there are fewer than ten.

    An arm that several studies share counts once, with the most seeds that it has. Arms that share their pre-training
    alone, and so its loss, count each where their outcomes differ.
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
