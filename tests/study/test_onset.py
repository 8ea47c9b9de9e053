"""From curves to onsets of every run, including censored ones, and the parts of a study's differences."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bertlab.stats.onset import TOO_FEW
from bertlab.stats.rule import Kind
from bertlab.study.judge import judge
from bertlab.study.onset import EARLY, ONSET, onsets_in, onsets_of, started, starts_of
from bertlab.study.outcome import outcome_of
from bertlab.study.record import Record, canonical

MakeRecord = Callable[..., Record]
TOKENS = (100_000, 200_000, 400_000, 800_000)


def points(run: str, gains: list[float]) -> list[tuple[Any, ...]]:
    return [(run, "eval/context_gain", k, t, g) for k, (t, g) in enumerate(zip(TOKENS, gains, strict=True))]


def with_gain(record: Record, floor_at: float = 6.6) -> Record:
    """Give every run a curve of context gain: how far its loss is below `floor_at`."""
    gain = record.curves.assign(metric="eval/context_gain", value=floor_at - record.curves["value"])
    return canonical(replace(record, curves=pd.concat([record.curves, gain])))


def test_every_run_has_an_onset_and_one_that_never_left_has_its_last_tokens() -> None:
    rows = points("left", [0.0, 0.1, 0.5, 1.0]) + points("never", [0.0, 0.05, 0.1, 0.2]) + points("at once", [1.0] * 4)
    curves = pd.DataFrame(rows, columns=["run_id", "metric", "step", "tokens", "value"])
    found = onsets_of(curves, 0.3)
    assert found == {
        "left": pytest.approx(math.log(200_000 * math.sqrt(2))),
        "never": pytest.approx(math.log(800_000)),
        "at once": pytest.approx(math.log(100_000)),
    }
    assert onsets_of(curves[curves["tokens"] < 150_000], 0.3) == {}


def test_a_study_may_be_judged_by_when_runs_leave_the_plateau(make_record: MakeRecord) -> None:
    assert (outcome_of(ONSET).unit, outcome_of(ONSET).lower_is_better) == ("ln_tokens", True)
    node = {"outcome": ONSET, "margin": {"ln_tokens": 0.1}}
    record = make_record({"one": 0.3, "harmful": 0.4}, node=node)
    verdict = judge(record).arms["one"].verdict
    assert verdict.kind is Kind.WORSE_MATERIAL


def test_arms_whose_curves_lie_higher_start_later_and_are_aligned_at_their_onsets(make_record: MakeRecord) -> None:
    found = judge(with_gain(make_record({"one": 0.2, "four": 0.0}, sd=0.05)))
    assert starts_of(found, "one").mean() > starts_of(found, "two").mean()
    study = started(found)
    assert study is not None
    assert study.parts["one"].later == pytest.approx(0.2 / 0.46, rel=0.25)  # the slope of all curves of the test
    assert study.parts["one"].total.mean == pytest.approx(0.2, abs=1e-3)
    assert study.aligned["one"].mean == pytest.approx(0, abs=0.03)


def test_other_outcomes_and_records_without_curves_of_context_gain_are_not_taken_apart(make_record: MakeRecord) -> None:
    assert started(judge(make_record())) is None
    record = make_record(node={"outcome": "eval/mlm_accuracy", "margin": {"share": 0.1}})
    assert started(judge(with_gain(record))) is None


def test_a_run_that_never_leaves_is_counted_among_the_arm_that_it_belongs_to(make_record: MakeRecord) -> None:
    record = with_gain(make_record({"one": 0.2}, sd=0.05))
    curves = record.curves.copy()
    stuck = (curves["run_id"] == "one-3") & (curves["metric"] == "eval/context_gain")
    curves.loc[stuck, "value"] = 0.0
    found = judge(canonical(replace(record, curves=curves)))
    assert np.isinf(starts_of(found, "one")[3])
    study = started(found)
    assert study is not None
    assert (study.parts["one"].censored, study.parts["one"].total.n) == (1, 8)
    assert "one" not in study.aligned


def with_runs(record: Record, arm: str, values: list[float], seeds: range) -> Record:
    """Give some runs of an arm these context gains."""
    curves = record.curves.copy()
    for seed in seeds:
        own = (curves["run_id"] == f"{arm}-{seed}") & (curves["metric"] == "eval/context_gain")
        curves.loc[own, "value"] = np.resize(values, own.sum())
    return canonical(replace(record, curves=curves))


def test_runs_that_start_before_the_first_evaluation_are_counted_and_have_a_bound(make_record: MakeRecord) -> None:
    record = with_runs(with_gain(make_record({"one": 0.2}, sd=0.05)), "one", [1.0], range(4))
    found = judge(record)
    onsets, study = onsets_in(found, "one"), started(found)
    assert (onsets.before, onsets.n, onsets.is_bound) == (4, 8, True)
    assert onsets.starts[0] == pytest.approx(math.log(int(found.record.curve("one", "eval/mlm_loss").columns[0])))
    assert study is not None
    assert study.words["one"] == EARLY
    assert "one" not in study.parts
    assert "one" not in study.aligned
    assert onsets_in(found, "two").before == 0


def test_an_arm_that_never_starts_has_its_difference_and_its_count(make_record: MakeRecord) -> None:
    record = with_gain(make_record({"one": 0.2}, sd=0.05))
    study = started(judge(with_runs(record, "one", [0.0], range(8))))
    assert study is not None
    assert study.words["one"] == "never started (8 of 8 runs)"
    assert study.totals["one"].mean == pytest.approx(0.2, abs=1e-3)
    misled = started(judge(with_runs(record, "one", [-1.0], range(8))))
    assert misled is not None
    assert misled.words["one"] == "worse than no context (8 of 8 runs)"
    some = started(judge(with_runs(record, "one", [0.0], range(3))))
    assert some is not None
    assert some.words["one"] == some.parts["one"].word


def test_the_only_arm_may_never_start(make_record: MakeRecord) -> None:
    record = with_gain(make_record(sd=0.05))
    for arm in record.study.arms:
        if arm != record.study.baseline:
            record = with_runs(record, arm, [0.0], range(8))
    study = started(judge(record))
    assert study is not None
    assert study.slope is None
    assert set(study.words.values()) == {"never started (8 of 8 runs)"}


def test_a_few_runs_are_only_aligned(make_record: MakeRecord) -> None:
    study = started(judge(with_gain(make_record({"one": 0.2, "four": 0.0}, sd=0.05, seeds=3))))
    assert study is not None
    assert (study.slope, study.parts) == (None, {})
    assert "one" in study.aligned
    assert set(study.words.values()) == {TOO_FEW}


def test_nothing_is_said_of_runs_that_all_start_before_the_first_evaluation(make_record: MakeRecord) -> None:
    record = with_gain(make_record())
    for arm in record.study.arms:
        record = with_runs(record, arm, [1.0], range(8))
    assert started(judge(record)) is None
