"""The recorder logs the planned points, with every axis, and counts only training."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bertlab.data.batches import Batch
from bertlab.model.bert import Output
from bertlab.objective import Joint
from bertlab.objective.turns import Alternating, Sequential
from bertlab.sweep.run import Job
from bertlab.train.module import Objective
from bertlab.train.recorder import Plan, plan

Fit = Callable[..., Any]
AXES = ("perf/tokens", "perf/predicted_tokens", "perf/flops", "perf/seconds")
JOINT = Joint(mlm_weight=1, pair_weight=1)


class Clock:
    """Stands in for the module `time`: time passes only when a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class SlowEvaluation:
    """An evaluation that takes 50 s and does not use the model."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.asked = clock, list[bool]()  # whether each was the last one

    def score(self, _: nn.Module, *, last: bool) -> dict[str, float]:
        self.asked.append(last)
        self.clock.now += 50
        return {"mlm_loss": 1.0} | ({"effective_rank": math.nan} if last else {})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bertlab.train.recorder.time", clock)
    return clock


def breaking_at(step: int) -> Objective:
    """Return an objective whose loss is NaN from that call (counted from 1) on."""
    calls = 0

    def objective(output: Output, batch: Batch, *_: int) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        losses = JOINT(output, batch)
        return losses | {"loss": losses["loss"] * math.nan} if calls >= step else losses

    return objective


def test_points_are_logged_exactly_at_the_planned_steps(fit: Fit) -> None:
    points = fit(plan=Plan(7, frozenset({2, 5, 7}), frozenset({5, 6}))).points
    assert [step for step, _ in points] == [2, 5, 6, 7]
    assert [step for step, numbers in points if "train/loss" in numbers] == [2, 5, 7]
    assert [step for step, numbers in points if "eval/mlm_loss" in numbers] == [5, 6]


def test_every_point_has_every_axis_and_they_only_grow(fit: Fit) -> None:
    points = fit(plan=Plan(7, frozenset({2, 5, 7}), frozenset({5, 6}))).points
    for _, numbers in points:
        assert set(AXES) | {"perf/tokens_per_second"} <= numbers.keys()
        assert all(math.isfinite(value) for value in numbers.values())
    for axis in AXES:
        values = [numbers[axis] for _, numbers in points]
        assert all(before < after for before, after in pairwise(values)), axis


def test_axes_count_what_the_batches_hold(fit: Fit, prepared: Callable[..., Job]) -> None:
    fitted, job = fit(), prepared()
    batches = [job.batches(step) for step in range(7)]
    last = fitted.points[-1][1]
    assert last["perf/tokens"] == 7 * 3 * 35
    assert last["perf/predicted_tokens"] == sum(len(batch.target_M) for batch in batches)
    assert last["perf/flops"] == sum(fitted.flops.of_step(batch) for batch in batches)
    assert last["perf/tokens_per_second"] == pytest.approx(last["perf/tokens"] / last["perf/seconds"])


@pytest.mark.parametrize(
    ("objective", "learned"),
    [
        (Sequential(order=["pair", "mlm"], share=0.5, mlm_weight=1.0, pair_weight=1.0), range(4, 7)),  # 3.5 of 7 steps
        (Alternating(order=["mlm", "pair"], every=1, mlm_weight=1.0, pair_weight=1.0), range(0, 7, 2)),
        (Joint(mlm_weight=0.0, pair_weight=1.0), []),
        (lambda output, batch, *_: JOINT(output, batch), range(7)),
    ],
)
def test_predicted_tokens_are_those_that_are_learned_from(
    fit: Fit, prepared: Callable[..., Job], objective: Objective, learned: Sequence[int]
) -> None:
    last = fit(objective=objective).points[-1][1]
    assert last["perf/predicted_tokens"] == sum(len(prepared().batches(step).target_M) for step in learned)
    assert last["perf/tokens"] == 7 * 3 * 35


def test_evaluation_is_not_in_the_seconds(fit: Fit, clock: Clock) -> None:
    """A training step takes 2 s, an evaluation 50 s."""

    def slow(output: Output, batch: Batch, *_: int) -> dict[str, Tensor]:
        clock.now += 2
        return JOINT(output, batch)

    evaluation = SlowEvaluation(clock)
    fitted = fit(objective=slow, evaluation=evaluation, plan=Plan(7, frozenset({3, 7}), frozenset({1, 3, 4, 7})))
    assert evaluation.asked == [False, False, False, True], "what is measured once comes with the last point"
    assert "eval/effective_rank" not in fitted.points[-1][1]
    assert not fitted.recorder.diverged, "it is no loss"
    assert [(step, numbers["perf/seconds"]) for step, numbers in fitted.points] == [(1, 2), (3, 6), (4, 8), (7, 14)]
    assert fitted.points[-1][1]["perf/tokens_per_second"] == 7 * 3 * 35 / 14


def test_a_point_is_the_mean_since_the_last_one(fit: Fit) -> None:
    single = fit().curve("train/loss")
    means = fit(plan=Plan(7, frozenset({3, 7}), frozenset({5}))).curve("train/loss")
    assert means == pytest.approx([sum(single[:3]) / 3, sum(single[3:]) / 4], rel=1e-6)


def test_losses_are_recorded_by_name(fit: Fit) -> None:
    numbers = fit().points[0][1]
    assert {name for name in numbers if name.startswith("train/")} == {
        "train/loss",
        "train/mlm_loss",
        "train/pair_loss",
        "train/lr",
    }
    assert numbers["train/loss"] == pytest.approx(numbers["train/mlm_loss"] + numbers["train/pair_loss"], rel=1e-6)


def test_evaluation_changes_nothing_in_training(fit: Fit) -> None:
    seldom = fit(plan=Plan(7, frozenset(range(1, 8)), frozenset({7})))
    often = fit()
    assert seldom.curve("train/loss") == often.curve("train/loss")
    assert len(often.curve("eval/mlm_loss")) == 7


def test_a_loss_that_is_not_finite_stops_the_run(fit: Fit) -> None:
    fitted = fit(objective=breaking_at(3))
    assert fitted.recorder.diverged
    assert [step for step, _ in fitted.points] == [1, 2, 3]
    assert fitted.recorder.outcome == "diverged: a loss was not finite at step 3"
    last = fitted.points[-1][1]
    assert "train/loss" not in last, "MLflow and the report take finite numbers only"
    assert "eval/mlm_loss" not in last
    assert all(math.isfinite(value) for _, numbers in fitted.points for value in numbers.values())


def test_a_run_ends_with_what_it_reached(fit: Fit) -> None:
    fitted = fit()
    loss = fitted.curve("eval/mlm_loss")[-1]
    assert fitted.recorder.outcome.startswith(f"eval/mlm_loss {loss:.3f}, eval/context_gain ")


def test_a_run_that_stays_finite_has_not_diverged(fit: Fit) -> None:
    assert not fit().recorder.diverged


def test_one_bad_step_between_two_points_is_noticed(fit: Fit) -> None:
    fitted = fit(objective=breaking_at(2), plan=Plan(7, frozenset({4, 7}), frozenset({1, 6, 7})))
    assert fitted.recorder.diverged
    assert [step for step, _ in fitted.points] == [1, 4]


def test_weights_that_are_not_finite_are_noticed_by_the_evaluation(fit: Fit) -> None:
    """The loss of the last step is finite, but its gradient is not."""
    fitted = fit(objective=breaking_at(7), plan=Plan(7, frozenset({6}), frozenset({3, 7})))
    assert fitted.recorder.diverged
    assert [step for step, numbers in fitted.points if "eval/mlm_loss" in numbers] == [3]
    assert all(math.isfinite(value) for _, numbers in fitted.points for value in numbers.values())


@pytest.mark.parametrize(
    ("total", "points", "expected"),
    [
        (100, 4, {25, 50, 75, 100}),
        (7, 7, {1, 2, 3, 4, 5, 6, 7}),
        (5, 100, {1, 2, 3, 4, 5}),
        (10, 3, {3, 7, 10}),
        (1, 1, {1}),
        (9, 1, {9}),
        (16_777_217, 1, {16_777_217}),
    ],
)
def test_points_are_spread_evenly_and_end_with_the_last_step(total: int, points: int, expected: set[int]) -> None:
    assert plan(total, points, [total]) == Plan(total, frozenset(expected), frozenset({total}))


def test_a_batch_moves_to_the_device_of_the_model(prepared: Callable[..., Job]) -> None:
    batch = prepared().batches(0)
    moved = batch.to(torch.device("meta"))
    assert {value.device.type for value in vars(moved).values() if isinstance(value, Tensor)} == {"meta"}
    assert moved.has_pairs == batch.has_pairs
