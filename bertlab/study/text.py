"""Checks before a study starts that there is enough held-out text.

Enters: baseline runs on exploration seeds, scored in parts of the text. Leaves: nothing, or what to raise.
"""

from collections.abc import Mapping
from typing import Any

from bertlab.config.errors import InputError
from bertlab.stats.noise import LARGE, between_runs, text_needed
from bertlab.study.contrasts import parts_of
from bertlab.study.record import EXPLORATION, Record

FINAL = "eval/final_"  # larger evaluation at the end of a run


def too_little_text(record: Record, evaluation: Mapping[str, Any]) -> str:
    """Return what to raise if the text makes more than 10 % of the variance of a paired difference.

    "" if it does not, or was not measured. That variance comes from the exploration seeds and the regime's prior.
    `evaluation`: the settings of the evaluation.
    """
    study = record.study
    parts = parts_of(record, study.outcome)
    runs = record.arm(EXPLORATION)
    scored = runs.loc[~runs["diverged"], parts].dropna() if len(parts) > 1 else runs.iloc[:0]
    if len(scored) < 2:
        return ""
    share = between_runs(scored.to_numpy(dtype=float)).share(study.prior, len(scored) - 1)
    if share <= LARGE:
        return ""
    key = "final" if study.outcome.startswith(FINAL) and evaluation.get("final") else "sequences"
    would_do = text_needed(share, int(evaluation[key]))
    return (
        f"evaluation.{key} must be about {would_do:,} for {study.outcome}, got {evaluation[key]:,}: "
        f"{100 * share:.0f} % of the variance of a difference would be the sample of held-out text, which no seed "
        "reduces"
    )


def check_text(record: Record, evaluation: Mapping[str, Any]) -> str:
    """Return `too_little_text` as a warning if only three runs show it; raise it if there is also a prior.

    Raises InputError.
    """
    said = too_little_text(record, evaluation)
    if said and record.study.prior.df:
        raise InputError(f"{said}; raise it, nothing but the exploration has run")
    return said
