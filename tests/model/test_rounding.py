"""Products with weights round to bfloat16, forward and backward, and nothing else does."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bertlab.model.rounding import rounding
from bertlab.objective.cross_entropy import linear_cross_entropy

EPSILON = torch.finfo(torch.bfloat16).eps


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


def rounded(x: Tensor) -> Tensor:
    return x.detach().bfloat16().float()


@pytest.mark.parametrize("shape", [(5,), (13, 5), (2, 13, 5), (0, 5)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_linear_layer_is_that_of_rounded_factors(shape: tuple[int, ...], biased: bool) -> None:
    x_ND, layer = drawn(*shape), nn.Linear(5, 7, bias=biased)
    with rounding():
        out_NK = layer(x_ND)
    pull_NK = drawn(*out_NK.shape)
    out_NK.backward(pull_NK.detach())
    bias = rounded(layer.bias) if biased else None
    exact_NK = functional.linear(rounded(x_ND), rounded(layer.weight), bias)
    assert out_NK.dtype == torch.float32
    assert torch.equal(out_NK, rounded(out_NK))
    torch.testing.assert_close(out_NK, exact_NK, rtol=EPSILON, atol=EPSILON)
    assert x_ND.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(x_ND.grad, rounded(pull_NK) @ rounded(layer.weight), rtol=EPSILON, atol=EPSILON)
    rows_MK, rows_MD = rounded(pull_NK).view(-1, 7), rounded(x_ND).view(-1, 5)
    torch.testing.assert_close(layer.weight.grad, rows_MK.T @ rows_MD, rtol=EPSILON, atol=EPSILON)
    if biased:
        assert layer.bias.grad is not None
        torch.testing.assert_close(layer.bias.grad, pull_NK.detach().reshape(-1, 7).sum(0))


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_factor_leaves_the_gradient_of_the_other_as_it_is(frozen: int) -> None:
    both, some = ([drawn(3, 5), drawn(7, 5)] for _ in range(2))
    some[frozen].requires_grad_(False)
    with rounding():
        for factors in (both, some):
            functional.linear(*factors).sum().backward()
    assert some[frozen].grad is None
    assert torch.equal(some[1 - frozen].grad, both[1 - frozen].grad)  # type: ignore[arg-type]


def test_double_precision_stays_as_it_is() -> None:
    x_ND, weight_KD = drawn(3, 5).double(), drawn(7, 5).double()
    with rounding():
        out_NK = functional.linear(x_ND, weight_KD)
    assert torch.equal(out_NK, functional.linear(x_ND, weight_KD))


def test_the_loss_rounds_its_products_and_nothing_else() -> None:
    state_MD, token_VD, bias_V = drawn(300, 16), drawn(50, 16), drawn(50)  # more rows than are scored at once
    target_M = torch.arange(300) % 50
    with rounding():
        loss = linear_cross_entropy(state_MD, token_VD, bias_V, target_M)
    loss.backward()  # type: ignore[no-untyped-call]
    theirs = [rounded(each).requires_grad_() for each in (state_MD, token_VD)]
    logit_MV = rounded(functional.linear(*theirs)) + bias_V.detach()  # the sum with the biases is not rounded
    torch.testing.assert_close(loss, functional.cross_entropy(logit_MV, target_M, reduction="sum"), rtol=1e-3, atol=0)
    exact = functional.linear(*theirs) + bias_V.detach()
    functional.cross_entropy(exact, target_M, reduction="sum").backward()
    for own, other in zip((state_MD, token_VD), theirs, strict=True):
        assert own.grad is not None
        assert other.grad is not None
        assert own.grad.dtype == torch.float32
        torch.testing.assert_close(own.grad, other.grad, rtol=0.02, atol=0.02 * float(other.grad.abs().max()))
        assert not torch.equal(own.grad, other.grad)


def test_nothing_rounds_outside() -> None:
    x_ND, weight_KD = drawn(13, 5), drawn(7, 5)
    exact_NK = functional.linear(x_ND, weight_KD)
    with rounding():
        assert not torch.equal(functional.linear(x_ND, weight_KD), exact_NK)
    assert torch.equal(functional.linear(x_ND, weight_KD), exact_NK)
