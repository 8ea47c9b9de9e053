"""The linear cross-entropy equals torch's two steps, value and gradients, for any number of rows at once."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from bertlab.objective import cross_entropy as module
from bertlab.objective.cross_entropy import linear_cross_entropy

M, D, V = 13, 7, 29
TARGET_M = torch.arange(M) * 2


def given(spread: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    """States, tokens and biases whose logits have this spread."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((M, D), (V, D), (V,))
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return tuple((spread**0.5 * each).to(dtype).requires_grad_() for each in drawn)


def plain(state_MD: Tensor, token_VD: Tensor, bias_V: Tensor, target_M: Tensor) -> Tensor:
    return cross_entropy(linear(state_MD, token_VD, bias_V), target_M, reduction="sum")


@pytest.fixture(params=[1, 5, M, 128], autouse=True)
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", request.param)


@pytest.mark.parametrize("spread", [0, 1, 100])  # even guesses, usual ones, and sure ones, of which most are wrong
@pytest.mark.parametrize("weight", [1.0, 0.25, 0.0])
def test_value_and_gradients_are_those_of_torch(spread: float, weight: float) -> None:
    ours, theirs = given(spread), given(spread, torch.float64)
    found, expected = linear_cross_entropy(*ours, TARGET_M), plain(*theirs, TARGET_M)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    (weight * found).backward()  # type: ignore[no-untyped-call]
    (weight * expected).backward()  # type: ignore[no-untyped-call]
    largest = linear(*theirs).abs().max().item()
    known = max(1e-5, torch.finfo(torch.float32).eps * largest)  # to how much a logit is, on whatever processor
    for own, other in zip(ours, theirs, strict=True):
        assert own.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(own.grad.double(), other.grad, atol=known, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_left_to_torch(dtype: torch.dtype) -> None:
    assert torch.equal(linear_cross_entropy(*given(1, dtype), TARGET_M), plain(*given(1, dtype), TARGET_M))


def test_autocast_is_left_to_torch() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(linear_cross_entropy(*given(1), TARGET_M), plain(*given(1), TARGET_M))


def test_nothing_predicted_is_a_loss_of_0_without_a_gradient() -> None:
    state_MD, token_VD, bias_V = given(1)
    none_MD = state_MD.detach()[:0].requires_grad_()
    loss = linear_cross_entropy(none_MD, token_VD, bias_V, TARGET_M[:0])
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert none_MD.grad is not None
    assert none_MD.grad.shape == (0, D)
    assert token_VD.grad is not None
    assert not token_VD.grad.any()


def test_what_is_given_stays_as_it_is() -> None:
    before, after = given(1), given(1)
    linear_cross_entropy(*after, TARGET_M).backward()  # type: ignore[no-untyped-call]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_second_backward_pass_is_refused_rather_than_wrong() -> None:
    loss = linear_cross_entropy(*given(1), TARGET_M)
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_do_not_pass_for_a_loss(value: float) -> None:
    state_MD, token_VD, bias_V = given(1)
    with torch.no_grad():
        bias_V[5] = value
    assert not linear_cross_entropy(state_MD, token_VD, bias_V, TARGET_M).isfinite()
