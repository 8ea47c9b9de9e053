"""A step with a divided batch equals the step of the whole batch, up to rounding."""

from collections.abc import Callable
from typing import Any

import pytest

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.config.reading import written_out
from bertlab.train.devices import Hardware
from bertlab.train.divided import Division
from bertlab.train.early import check_early
from bertlab.train.recorder import Plan
from tests.marks import slow_but
from tests.train.test_fit import HARDWARE

LIGHT = ("model.dropout=0", "evaluation.pseudo=0", "evaluation.probe=0", "evaluation.prune=[]", "trainer.threads=1")
Fit = Callable[..., Any]


@pytest.mark.parametrize(
    "words",
    slow_but(
        [[]],
        [
            [],
            ["pairs=none"],
            ["objective=alternating", "objective.every=2"],
            ["trainer.precision=bf16-mixed"],
            ["optimizer=muon"],
            ["batch.length=36", "batch.start_length=12", "batch.start_share=0.5"],
        ],
    ),
    ids=" ".join,
)
def test_a_batch_in_parts_gives_the_losses_of_the_whole_batch(fit: Fit, words: list[str]) -> None:
    seldom = Plan(7, frozenset(range(1, 8)), frozenset({7}))
    whole = fit(*LIGHT, *words, plan=seldom)
    parted = fit(*LIGHT, "trainer.accumulate=3", *words, plan=seldom)
    rough = 2e-2 if "trainer.precision=bf16-mixed" in words else 1e-4
    assert parted.curve("train/loss") == pytest.approx(whole.curve("train/loss"), rel=rough)
    assert parted.curve("eval/mlm_loss") == pytest.approx(whole.curve("eval/mlm_loss"), rel=rough)
    assert parted.curve("perf/predicted_tokens") == whole.curve("perf/predicted_tokens")
    assert parted.curve("perf/flops") == whole.curve("perf/flops")


def test_every_part_draws_dropout_of_its_own(fit: Fit) -> None:
    never = Plan(7, frozenset(range(1, 8)), frozenset())
    one, other = (fit("trainer.accumulate=3", "trainer.threads=1", plan=never) for _ in range(2))
    assert one.curve("train/loss") == other.curve("train/loss")
    assert one.curve("train/loss") != fit("trainer.threads=1", plan=never).curve("train/loss")


def test_devices_take_each_part_once() -> None:
    own = [number for rank in range(3) for number in Division(rank, 3, 4).own()]
    assert own == list(range(12))


def test_a_norm_over_tokens_is_refused_where_a_batch_is_divided(fit: Fit) -> None:
    with pytest.raises(InputError, match=r"^model/norm must look at one token at a time"):
        fit("model/norm=batch", "trainer.accumulate=3")


def test_compiling_a_divided_batch_is_refused() -> None:
    with pytest.raises(InputError, match=r"^compile must be false where a batch is divided, got True"):
        Hardware(**(HARDWARE | {"compile": True}), devices=2, accumulate=1)


def test_more_parts_than_sequences_are_refused_at_once() -> None:
    config = resolved(load(["batch.size=5", "trainer.devices=2", "trainer.accumulate=3"]))
    with pytest.raises(InputError, match=r"^batch\.size must be at least trainer\.devices times .*, 6, got 5; raise"):
        check_early([config])


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        (["trainer.devices=2"], ["trainer=cpus", "trainer.devices=2"]),
        (["trainer=gpu", "trainer.devices=4"], ["trainer=gpus", "trainer.devices=4"]),
        (["trainer.devices=1", "seed=1"], ["seed=1"]),
        (["trainer=cpus", "trainer.devices=1"], ["trainer=cpus", "trainer.devices=1"]),
        (["trainer.devices=1,2"], ["trainer=cpus", "trainer.devices=1,2"]),
        (["trainer=none", "trainer.devices=2"], ["trainer=none", "trainer.devices=2"]),
    ],
    ids=str,
)
def test_a_number_of_devices_chooses_the_option_that_has_one(typed: list[str], written: list[str]) -> None:
    assert written_out(typed) == written
