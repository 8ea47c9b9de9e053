"""The contrasts of a record, and their problems: runs that are missing, differ in code or data, or diverged.

Enters: a record, the study as it is judged, and an arm or control. Leaves: its `Contrast` and `Standing`.
"""

import math
from collections.abc import Mapping

import pandas as pd

from bertlab.stats.contrast import Contrast, bank_contrast, contrast
from bertlab.stats.interval import Shared
from bertlab.stats.noise import between_chunks, of_answers
from bertlab.stats.verdict import Standing
from bertlab.study.design import Study
from bertlab.study.record import Record

MUST_AGREE = {"code": "code", "corpus": "corpus", "evaluation": "evaluation"}  # column -> its name in messages
PAIRS = "eval/pair_accuracy"
ITEMS = ".se_items"  # behind a score of a task: its standard error over test items
FINAL_LOSS, FINAL_PAIRS = "eval/final_loss", "eval/final_pair_accuracy"


def contrast_of(record: Record, study: Study, name: str, without: int | None = None) -> Contrast:
    """Return an arm's contrast with its reference: paired by seed, or against the bank of baseline runs.

    `without`: a seed to leave out of both.
    """
    arm, reference = (outcomes(record, study, each) for each in (name, study.reference(name)))
    arm, reference = (each[each.index != without] for each in (arm, reference))
    pairs = not study.bank or min(len(arm), len(reference)) < 2
    if pairs:
        seeds = arm.index.intersection(reference.index)
        arm, reference = arm[seeds], reference[seeds]
    text = text_noise(record, study, {name: arm, study.reference(name): reference})
    return (contrast if pairs else bank_contrast)(arm, reference, study.prior, text)


def text_noise(record: Record, study: Study, compared: Mapping[str, "pd.Series[float]"]) -> Shared | None:
    """Return the noise of the evaluated text in the difference of two arms; None if it was not measured.

    From the parts of the text if runs scored them; for pair accuracy, binomial with the number of evaluated sequences;
    for the user's own tasks, from the standard errors over test items of both arms. The last two are upper bounds: they
    take the items of both arms for independent. `compared`: the outcomes of both arms by seed.
    """
    if any(runs.empty for runs in compared.values()) or len(compared) < 2:
        return None
    parts = parts_of(record, study.outcome)
    if len(parts) > 1:
        arm, reference = (record.arm(name).loc[runs.index, parts].mean() for name, runs in compared.items())
        apart = (arm - reference).dropna()
        return between_chunks(apart) if len(apart) > 1 else None
    if (errors := f"{study.outcome}{ITEMS}") in record.metrics:
        squares = [(record.arm(name).loc[runs.index, errors] ** 2).mean() for name, runs in compared.items()]
        return Shared(float(sum(squares)))
    pairs = scored(record, study.outcome)
    if study.outcome == PAIRS and pairs:
        return of_answers([float(runs.mean()) for runs in compared.values()], pairs)
    return None


def scored(record: Record, outcome: str) -> int | None:
    """Return on how many held-out sequences an outcome is scored; None if the record does not say."""
    scoring = record.regime.scoring
    if scoring is None:
        return None
    return {FINAL_LOSS: scoring.texts, FINAL_PAIRS: scoring.pairs}.get(outcome, scoring.sequences) or None


def parts_of(record: Record, outcome: str) -> list[str]:
    """Return the metrics with an outcome for parts of the evaluated text."""
    return [name for name in record.metrics if name.startswith(f"{outcome}.chunk_")]


def outcomes(record: Record, study: Study, name: str) -> "pd.Series[float]":
    """Return the study's outcome of an arm's finished runs, by seed."""
    runs = record.arm(name)
    if study.outcome not in runs:
        return pd.Series(dtype=float)
    return runs.loc[~runs["diverged"], study.outcome].dropna()


def standing_of(record: Record, study: Study, name: str) -> Standing:
    """Return the checks that come before any difference."""
    reference = study.reference(name)
    own, its = record.arm(name), record.arm(reference)
    missing = (*_missing(record, study, reference), *_missing(record, study, name))
    return Standing(
        invalid=(*missing, *_unlike(record, name, reference)),
        diverged=int(own["diverged"].sum()),
        diverged_baseline=int(its["diverged"].sum()),
    )


def _missing(record: Record, study: Study, name: str) -> tuple[str, ...]:
    """Describe the planned runs that are missing.

    If the record does not state their number, an arm was planned up to the look of its last seed.
    """
    runs = record.arm(name)
    last = max(runs.index, default=0)
    looked = next((look for look in study.looks if look > last), last + 1)
    planned = record.planned.get(name, looked)
    outcome = runs.get(study.outcome, pd.Series(math.nan, runs.index))
    unmeasured = set(runs.index[outcome.isna() & ~runs["diverged"]])
    gone = sorted({*range(planned)} - set(runs.index) | unmeasured)
    return (f"{name} has no result for seed {', '.join(map(str, gone))}",) if gone else ()


def _unlike(record: Record, name: str, reference: str) -> tuple[str, ...]:
    """Describe differences between the runs of two arms that must not exist."""
    runs = pd.concat([record.arm(name), record.arm(reference)])
    return tuple(
        f"{name} and {reference} differ in {what}" for column, what in MUST_AGREE.items() if len(set(runs[column])) > 1
    )
