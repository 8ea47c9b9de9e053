"""Enough held-out text: known shares of a baseline's variance, with and without a prior."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bertlab.config.errors import InputError
from bertlab.stats.interval import Shared
from bertlab.study.contrasts import contrast_of
from bertlab.study.record import EXPLORATION, Record, canonical
from bertlab.study.text import check_text, too_little_text

MakeRecord = Callable[..., Record]
EVALUATION = {"sequences": 256, "final": 2048}
PRIOR = {"variance": 0.01, "df": 40.0, "contrasts": 40}


def explored(make_record: MakeRecord, text_sd: float, node: Mapping[str, Any] = MappingProxyType({})) -> Record:
    """Make three exploration runs whose losses differ by .05, with residuals of `text_sd` in each of 16 parts."""
    record = make_record(node=node)
    runs, rng = record.runs.copy(), np.random.default_rng(3)
    own = runs["arm"] == EXPLORATION
    losses = 5.0 + 0.05 * np.arange(3)
    residual = rng.standard_normal((3, 16))
    residual -= residual.mean(axis=0) + residual.mean(axis=1, keepdims=True) - residual.mean()
    residual *= text_sd * np.sqrt(2 * 15 / (residual**2).sum())
    parts = {f"{record.study.outcome}.chunk_{part}": losses + residual[:, part] for part in range(16)}
    runs = pd.concat([runs, pd.DataFrame(parts, index=runs.index[own])], axis="columns")
    return canonical(replace(record, runs=runs))


def test_text_that_is_a_small_part_of_the_variance_is_enough(make_record: MakeRecord) -> None:
    assert too_little_text(explored(make_record, 0.02), EVALUATION) == ""  # .02^2 / 16 of .05^2 is 1 %
    assert too_little_text(make_record(), EVALUATION) == "", "nothing is said of what was not measured"


def test_too_little_text_names_the_sequences_that_would_do(make_record: MakeRecord) -> None:
    said = check_text(explored(make_record, 0.1), EVALUATION)  # .1^2 / 16 of .05^2 is 25 %
    assert re.match(r"evaluation.sequences must be about 76[89] for eval/mlm_loss, got 256: 25 % of the variance", said)


def test_a_regime_whose_prior_says_so_too_refuses_to_start(make_record: MakeRecord) -> None:
    with pytest.raises(InputError, match=r"evaluation.sequences must be about \d+"):
        check_text(explored(make_record, 0.1, {"prior": PRIOR}), EVALUATION)  # 2 * .1^2 / 16 of .0098 is 13 %
    assert check_text(explored(make_record, 0.05, {"prior": PRIOR}), EVALUATION) == ""


def test_the_prior_is_believed_more_than_three_runs(make_record: MakeRecord) -> None:
    wide = {"prior": {**PRIOR, "variance": 0.05}}
    assert too_little_text(explored(make_record, 0.1, wide), EVALUATION) == ""  # 2 * .1^2 / 16 of about .048


def test_the_errors_over_test_items_of_both_arms_widen_a_difference(make_record: MakeRecord) -> None:
    record = make_record()
    study, name = record.study, f"{record.study.outcome}.se_items"
    arm = next(arm for arm in study.arms if arm != study.baseline)
    errors = np.where(record.runs["arm"] == arm, 0.03, 0.04)
    scored = canonical(replace(record, runs=record.runs.assign(**{name: errors})))
    plain, wide = (contrast_of(each, study, arm) for each in (record, scored))
    assert plain.text is None
    assert wide.text == Shared(pytest.approx(0.03**2 + 0.04**2))
    assert wide.interval(0.9).high - wide.interval(0.9).low > plain.interval(0.9).high - plain.interval(0.9).low
