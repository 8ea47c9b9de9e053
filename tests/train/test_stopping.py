"""A run that is stopped in the middle loses nothing: it continues with the same bits, also between two points."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from bertlab.data.batches import Batch
from bertlab.model.bert import Output
from bertlab.objective import Joint
from bertlab.train.module import Objective
from bertlab.train.recorder import Plan, Saver
from tests.marks import slow_but

Fit = Callable[..., Any]
PLAN = Plan(7, frozenset({3, 7}), frozenset({7}))
JOINT = Joint(mlm_weight=1, pair_weight=1)
Saved = list[tuple[int, Mapping[str, Tensor], Mapping[str, Any]]]


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Enable Ctrl-C, which a shell ignores for tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stopping_in(step: int, *numbers: int) -> Objective:
    """Return an objective in whose call (counted from 1) this process gets signals."""
    calls = 0

    def objective(output: Output, batch: Batch, *_: int) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        for number in numbers if calls == step else ():
            os.kill(os.getpid(), number)
        return JOINT(output, batch)

    return objective


def kept(into: Saved) -> Saver:
    def save(step: int, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        into.append((step, {name: value.clone() for name, value in tensors.items()}, dict(counters)))

    return Saver(1e9, save)  # never by the clock


@pytest.mark.parametrize("step", slow_but([3], [1, 2, 3, 5, 6]))
def test_an_interrupted_run_goes_on_with_the_same_bits(fit: Fit, step: int) -> None:
    whole, saved, words = fit(plan=PLAN), Saved(), ("model.dropout=0.1",)
    with pytest.raises(KeyboardInterrupt):
        fit(*words, plan=PLAN, objective=stopping_in(step, signal.SIGINT), saver=kept(saved))
    ((at, tensors, counters),) = saved
    assert at == step
    again = fit(*words, plan=PLAN, saved=(at, tensors, counters))
    points = [point for point in whole.points if point[0] > step]
    for (one, numbers), (other, ours) in zip(points, again.points, strict=True):
        assert one == other
        timed = {name for name in numbers if "second" in name}
        assert {name: numbers[name] for name in numbers.keys() - timed} == {
            name: ours[name] for name in ours.keys() - timed
        }
    weights = whole.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.model.state_dict().items())


def test_a_request_to_terminate_saves_too(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before, saved = signal.signal(signal.SIGTERM, terminated), Saved()
    try:
        with pytest.raises(SystemExit) as ended:
            fit(plan=PLAN, objective=stopping_in(4, signal.SIGTERM), saver=kept(saved))
        assert signal.getsignal(signal.SIGTERM) is terminated, "handlers are given back"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 128 + signal.SIGTERM
    assert [step for step, *_ in saved] == [4]


def test_a_second_request_does_not_wait_for_the_step(fit: Fit) -> None:
    saved = Saved()
    with pytest.raises(KeyboardInterrupt):
        fit(plan=PLAN, objective=stopping_in(4, signal.SIGINT, signal.SIGINT), saver=kept(saved))
    assert saved == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
