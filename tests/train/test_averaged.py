"""Running means of weights: they are evaluated and saved, and do not change training itself."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bertlab.train.recorder import Saver

Fit = Callable[..., Any]
WORDS = ("trainer=averaged", "trainer.decay=0.7")


class Kept:
    """States of a run after each step, copied."""

    def __init__(self) -> None:
        self.states: list[tuple[int, dict[str, torch.Tensor], dict[str, Any]]] = []

    def __call__(self, step: int, tensors: dict[str, torch.Tensor], counters: dict[str, Any]) -> None:
        self.states.append((step, {name: each.detach().clone() for name, each in tensors.items()}, dict(counters)))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_model_that_is_left_holds_the_means_and_training_is_as_without(fit: Fit, optimizer: str) -> None:
    words = (f"optimizer={optimizer}", *(("optimizer.momentum=0",) if optimizer == "sgd" else ()))
    plain, states = fit(*words, saver=Saver(0, both := Kept())), Kept()
    averaged = fit(*words, *WORDS, saver=Saver(0, states))
    assert averaged.curve("train/loss") == plain.curve("train/loss")
    assert averaged.curve("eval/mlm_loss") != plain.curve("eval/mlm_loss")
    for name, weight in averaged.model.named_parameters():
        path = [state[f"model.{name}"] for _, state, _ in states.states]
        assert torch.equal(path[-1], both.states[-1][1][f"model.{name}"]), "checkpoints hold the weights themselves"
        mean = path[0].clone()
        for step, each in enumerate(path[1:], 2):
            decay = min(0.7, (1 + step) / (10 + step))
            mean = decay * mean + (1 - decay) * each
        torch.testing.assert_close(weight.detach(), mean)


def test_without_decay_nothing_differs_and_what_goes_on_ends_with_the_same_bits(fit: Fit) -> None:
    plain, zero = fit(), fit("trainer=averaged", "trainer.decay=0")
    assert zero.curve("eval/mlm_loss") == plain.curve("eval/mlm_loss")
    whole = fit(*WORDS, saver=Saver(0, kept := Kept()))
    for saved in (kept.states[3], kept.states[-1]):
        again = fit(*WORDS, saved=saved)
        weights = whole.model.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in again.model.state_dict().items())
