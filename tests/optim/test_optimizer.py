"""Optimisers by hand, which parameters decay, and that every YAML of conf/optimizer gives one that learns."""

import copy
from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any

import pytest
import torch
from torch import nn

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.optim.optimizer import adam, adamw, adamw_fan_in, adamw_layers, decay_groups, muon, sgd
from bertlab.train.state import restore_optimizer, snapshot

GOOD: dict[str, Any] = {"lr": 0.1, "betas": [0.9, 0.98], "eps": 1e-6, "weight_decay": 0.5}


class Tiny(nn.Module):
    """Every kind of parameter that a model has."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(7, 3)
        self.dense = nn.Linear(3, 5)
        self.norm = nn.LayerNorm(5)


def expected_values(start: float, gradients: list[float], weight_decay: float) -> list[float]:
    """Return the value after each step of Loshchilov & Hutter 2019, algorithm 2, for one number."""
    value, mean, square, values = start, 0.0, 0.0, []
    for step, gradient in enumerate(gradients, 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.98 * square + 0.02 * gradient**2
        corrected = (mean / (1 - 0.9**step)) / (sqrt(square / (1 - 0.98**step)) + 1e-6)
        value = value - 0.1 * weight_decay * value - 0.1 * corrected
        values.append(value)
    return values


@pytest.mark.parametrize(
    ("pick", "weight_decay"), [(lambda model: model.dense.weight, 0.5), (lambda model: model.dense.bias, 0.0)]
)
def test_steps_are_those_of_the_textbook(pick: Callable[[Tiny], nn.Parameter], weight_decay: float) -> None:
    model, gradients = Tiny(), [0.5, -0.25, 4.0]
    optimizer, parameter = adamw(model, **GOOD), pick(model)
    with torch.no_grad():
        parameter.fill_(2.0)
    for gradient, expected in zip(gradients, expected_values(2.0, gradients, weight_decay), strict=True):
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected))


def test_l2_enters_the_gradient_of_adam() -> None:
    """From 2 with gradients 0.5, -0.25 and 4 and a decay of .5: those of AdamW without decay at g + .5 * value."""
    model = Tiny()
    optimizer, parameter = adam(model, **GOOD), model.dense.weight
    with torch.no_grad():
        parameter.fill_(2.0)
    value, seen = 2.0, []
    for gradient in (0.5, -0.25, 4.0):
        seen.append(gradient + 0.5 * value)
        value = expected_values(2.0, seen, 0.0)[-1]
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, value))


def test_momentum_by_hand() -> None:
    """From 2, rate .1, momentum .9, decay .5: m = .5 + 1 = 1.5, so 1.85; m = 1.35 - .25 + .925 = 2.025, so 1.6475."""
    model = Tiny()
    optimizer, parameter = sgd(model, lr=0.1, momentum=0.9, weight_decay=0.5), model.dense.weight
    with torch.no_grad():
        parameter.fill_(2.0)
    for gradient, value in ((0.5, 1.85), (-0.25, 1.6475)):
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, value))


NAMES = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_learns_and_spares_biases_and_norms(name: str, build_part: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    model, target = Tiny(), torch.arange(35.0).view(7, 5).cos()
    optimizer = build_part(f"optimizer={name}")(model)
    *decaying, still = optimizer.param_groups
    assert all(group["weight_decay"] > 0 for group in decaying)
    assert still["weight_decay"] == 0
    assert [sum(value.ndim < 2 for value in group["params"]) for group in (*decaying, still)] == [0] * len(decaying) + [
        3
    ]
    placed = [id(value) for group in optimizer.param_groups for value in group["params"]]
    assert sorted(placed) == sorted(id(value) for value in model.parameters()), "each in one group"
    losses = []
    for _ in range(50):
        loss = (model.norm(model.dense(model.token.weight)) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


MUON: dict[str, Any] = {**GOOD, "momentum": 0.95}


def test_muon_takes_the_matrices_of_dense_layers_but_those_that_score_labels(build_part: Callable[..., Any]) -> None:
    model = build_part("model=nano")(61, 19)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    matrices, others, vectors = (
        {names[id(value)] for value in group["params"]} for group in build_part("optimizer=muon")(model).param_groups
    )
    assert others == {"embedding.token.weight", "embedding.segment.weight", "pair_head.classify.weight"}
    assert {"blocks.1.attention.query.weight", "mlm_head.transform.weight", "pair_head.pool.weight"} <= matrices
    assert all(name.endswith("bias") or "norm" in name for name in vectors)
    assert len(matrices) == 2 * 6 + 2


def test_muon_steps_along_an_orthogonal_matrix_as_far_as_adamw() -> None:
    """From 0 without decay a step is lr * 0.2 * sqrt(5) times a matrix whose singular values lie in 0.5 to 1.5.

    The rest moves as with AdamW alone.
    """
    model, alone = Tiny(), Tiny()
    settings = MUON | {"weight_decay": 0.0}
    optimizer = muon(model, **settings)
    other = adamw(alone, **{key: value for key, value in settings.items() if key != "momentum"})
    with torch.no_grad():
        for value in (*model.parameters(), *alone.parameters()):
            value.zero_()
    gradient = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    for each in (model, alone):
        each.dense.weight.grad, each.token.weight.grad = gradient.clone(), torch.ones(7, 3)
    before = model.dense.weight.detach().clone()
    optimizer.step()
    other.step()
    moved = before - model.dense.weight.detach()
    for size in torch.linalg.svdvals(moved).tolist():
        assert 0.5 < size / (0.1 * 0.2 * sqrt(5)) < 1.5
    assert (moved * gradient).sum() > 0
    assert torch.equal(model.token.weight, alone.token.weight)


def test_two_optimisers_are_scheduled_saved_and_restored_as_one() -> None:
    torch.manual_seed(1)
    model = Tiny()
    optimizer = muon(model, **MUON)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))

    def advance(model: Tiny, optimizer: torch.optim.Optimizer, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()

    advance(model, optimizer, 1)
    schedule.step()
    restored = copy.deepcopy(model)
    again = muon(restored, **MUON)
    restore_optimizer(again, snapshot(model, optimizer))
    for group in again.param_groups:
        group["lr"] = 0.05
    assert [group["lr"] for group in optimizer.param_groups] == [0.05] * 3
    for seed in (2, 3):
        advance(model, optimizer, seed)
        advance(restored, again, seed)
    ours, theirs = model.parameters(), restored.parameters()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert {len(optimizer.state[parameter]) for parameter in model.parameters()} == {1, 3}


def test_impossible_momentum_is_refused() -> None:
    with pytest.raises(InputError, match=r"momentum must lie in \[0, 0\.999999\], got 1"):
        sgd(Tiny(), lr=0.1, momentum=1, weight_decay=0)


def test_the_first_step_is_the_learning_rate_against_the_sign_of_the_gradient() -> None:
    assert expected_values(2.0, [0.5], 0.0) == pytest.approx([1.9])


def test_matrices_and_embeddings_decay_but_biases_and_norms_do_not() -> None:
    model = Tiny()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decaying, still = decay_groups(model, 0.25)
    assert [names[id(parameter)] for parameter in decaying["params"]] == ["token.weight", "dense.weight"]  # type: ignore[attr-defined]
    assert {names[id(parameter)] for parameter in still["params"]} == {"dense.bias", "norm.weight", "norm.bias"}  # type: ignore[attr-defined]
    assert (decaying["weight_decay"], still["weight_decay"]) == (0.25, 0.0)


def test_the_fused_update_is_used() -> None:
    assert [group["fused"] for group in adamw(Tiny(), **GOOD).param_groups] == [True, True]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"lr": 0}, r"lr must lie in \(0, 1000\), got 0"),
        ({"lr": -1e-3}, r"lr .* got -0\.001"),
        ({"lr": float("nan")}, r"lr .* got nan"),
        ({"lr": "high"}, r"lr .* got high"),
        ({"betas": [0.9]}, r"betas must hold two numbers, got \[0\.9\]"),
        ({"betas": [0.9, 1.0]}, r"betas .* got 1\.0"),
        ({"betas": [-0.1, 0.9]}, r"betas .* got -0\.1"),
        ({"betas": 0.9}, r"betas must hold two numbers, got 0\.9"),
        ({"eps": 0}, r"eps must lie in \(0, 1\), got 0"),
        ({"weight_decay": -1}, r"weight_decay must lie in \[0, 1000\], got -1"),
    ],
)
def test_values_that_cannot_train_are_refused_by_name(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        partial(adamw, Tiny(), **(GOOD | bad))()


def test_layers_learn_the_slower_the_nearer_they_are_to_the_input(build_part: Callable[..., Any]) -> None:
    model = build_part("model=nano", "model.layers=3")(61, 11)
    optimizer = adamw_layers(model, **{**GOOD, "lr": 1.0, "decay": 0.5})
    rate = {id(each): group["lr"] for group in optimizer.param_groups for each in group["params"]}
    decay = {id(each): group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    found = {name: rate[id(parameter)] for name, parameter in model.named_parameters()}
    assert found["embedding.token.weight"] == 1 / 16
    assert [found[f"blocks.{layer}.attention.key.weight"] for layer in range(3)] == [1 / 8, 1 / 4, 1 / 2]
    assert found["mlm_head.bias"] == found["pair_head.classify.weight"] == 1
    assert {decay[id(each)] for each in model.parameters() if each.ndim < 2} == {0.0}
    assert {decay[id(each)] for each in model.parameters() if each.ndim >= 2} == {0.5}


def test_a_matrix_with_four_times_the_inputs_has_a_quarter_of_the_rate(build_part: Callable[..., Any]) -> None:
    model = build_part("model=nano", "model.width=32", "model.inner=128")(61, 11)
    optimizer = adamw_fan_in(model, **{**GOOD, "lr": 1.0, "width": 32})
    rate = {id(each): group["lr"] for group in optimizer.param_groups for each in group["params"]}
    decay = {id(each): group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    found = {name: rate[id(parameter)] for name, parameter in model.named_parameters()}
    slow = {f"blocks.{layer}.feed_forward.contract.weight" for layer in range(2)}
    assert {found.pop(name) for name in slow} == {1 / 4}
    assert set(found.values()) == {1.0}
    assert {rate[id(each)] * decay[id(each)] for each in model.parameters() if each.ndim >= 2} == {0.5}
    assert {decay[id(each)] for each in model.parameters() if each.ndim < 2} == {0.0}


def test_without_wider_matrices_its_steps_are_those_of_adamw() -> None:
    plain, scaled = Tiny(), Tiny()
    scaled.load_state_dict(plain.state_dict())
    for model, optimizer in ((plain, adamw(plain, **GOOD)), (scaled, adamw_fan_in(scaled, **GOOD, width=3))):
        for factor in (0.5, -0.25, 4.0):
            for parameter in model.parameters():
                parameter.grad = factor * torch.ones_like(parameter)
            optimizer.step()
    for one, other in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(one, other)
