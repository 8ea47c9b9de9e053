"""Training that continues from a saved state equals uninterrupted training, bit by bit."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from bertlab.train import recorder as room
from bertlab.train.recorder import Plan, Saver
from tests.marks import slow_but

Fit = Callable[..., Any]
Saved = tuple[int, Mapping[str, Tensor], Mapping[str, Any]]
AXES = ("perf/tokens", "perf/predicted_tokens", "perf/flops")


class Kept:
    """Copies of every state that was saved."""

    def __init__(self) -> None:
        self.states: list[Saved] = []

    def __call__(self, step: int, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        self.states.append((step, {name: tensor.clone() for name, tensor in tensors.items()}, dict(counters)))


@pytest.mark.parametrize(
    "words",
    slow_but(
        [(), ("optimizer=adam", "schedule=cosine")],
        [
            (),
            ("optimizer=adam", "schedule=cosine"),
            ("optimizer=sgd", "optimizer.momentum=0.9"),
            ("optimizer=sgd", "optimizer.momentum=0"),
            ("optimizer=muon", "model.unigram_bias=true"),
            ("batch.length=36", "batch.start_length=12", "batch.start_share=0.5"),
            ("trainer.precision=bf16-mixed", "model/norm=batch", "objective=sequential"),
            ("trainer.precision=bf16-products",),
            (
                "mask=scheduled",
                "model/sharing=all",
                "model/position=learned",
                "model/embedding=untied",
                "schedule.warmup=0.5",
            ),
        ],
    ),
    ids=" ".join,
)
def test_a_run_that_goes_on_ends_with_the_same_bits(fit: Fit, words: tuple[str, ...]) -> None:
    kept = Kept()
    whole = fit(*words, saver=Saver(0, kept))
    assert [step for step, *_ in kept.states] == list(range(1, 8))
    for saved in (kept.states[0], kept.states[3]):
        again = fit(*words, saved=saved)
        assert [step for step, _ in again.points] == list(range(saved[0] + 1, 8))
        for (_, expected), (_, found) in zip(whole.points[saved[0] :], again.points, strict=True):
            same = {name for name in expected if name in AXES or not name.startswith("perf/")}
            assert {name: found[name] for name in same} == {name: expected[name] for name in same}
            assert found["perf/seconds"] > saved[2]["seconds"]
        weights = whole.model.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in again.model.state_dict().items())
        assert again.recorder.outcome == whole.recorder.outcome


def test_a_run_of_which_nothing_is_left_takes_no_step(fit: Fit) -> None:
    kept = Kept()
    whole = fit(saver=Saver(0, kept))
    again = fit(saved=kept.states[-1])
    assert again.points == []
    weights = whole.model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.model.state_dict().items())
    assert again.recorder.outcome == whole.recorder.outcome


def test_a_state_is_saved_only_where_no_loss_waits_for_its_point(fit: Fit) -> None:
    kept = Kept()
    fit(plan=Plan(7, frozenset({3, 7}), frozenset({2, 5, 7})), saver=Saver(0, kept))
    assert [step for step, *_ in kept.states] == [3, 7]


def test_saving_takes_its_time_and_its_share_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock, steps = Clock(), list[int]()
    monkeypatch.setattr(room, "time", clock)

    def save(step: int, *_: object) -> None:
        clock.now += 2
        steps.append(step)

    model = torch.nn.Linear(1, 1)
    saver = Saver(60, save)
    for step in range(1, 500):
        clock.now += 1
        saver.offer(step, model, torch.optim.SGD(model.parameters()), {})
    assert steps == [60, 260, 460], "after a minute, then such that 2 s are 1 %"
