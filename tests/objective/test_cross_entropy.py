"""The summed cross-entropy says what torch's says, value and gradient."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from bertlab.objective.cross_entropy import summed

M, V = 13, 29


def logits(spread: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    drawn = spread * torch.randn(M, V, generator=torch.Generator().manual_seed(0))
    return drawn.to(dtype).requires_grad_()


@pytest.mark.parametrize("spread", [0, 1, 300])  # even guesses, usual ones, and sure ones, of which most are wrong
@pytest.mark.parametrize("weight", [1.0, 0.25, 0.0])
def test_value_and_gradient_are_those_of_torch(spread: float, weight: float) -> None:
    target_M = torch.arange(M) * 2
    ours_MV, theirs_MV = logits(spread), logits(spread)
    ours, theirs = summed(ours_MV, target_M), cross_entropy(theirs_MV, target_M, reduction="sum")
    torch.testing.assert_close(ours, theirs)
    (weight * ours).backward()  # type: ignore[no-untyped-call]
    (weight * theirs).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours_MV.grad, theirs_MV.grad, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_left_to_torch(dtype: torch.dtype) -> None:
    target_M = torch.arange(M)
    ours = summed(logits(1, dtype), target_M)
    assert torch.equal(ours, cross_entropy(logits(1, dtype), target_M, reduction="sum"))


def test_the_logits_stay_as_they_are() -> None:
    logit_MV = logits(1)
    before_MV = logit_MV.detach().clone()
    summed(logit_MV, torch.arange(M)).backward()  # type: ignore[no-untyped-call]
    assert torch.equal(logit_MV.detach(), before_MV)


def test_a_second_backward_pass_is_refused_rather_than_wrong() -> None:
    loss = summed(logits(1), torch.arange(M))
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]


def test_logits_that_are_not_finite_do_not_pass_for_a_loss() -> None:
    logit_MV = logits(1).detach()
    logit_MV[3, 5] = float("nan")
    assert summed(logit_MV, torch.arange(M)).isnan()
    logit_MV[3, 5] = float("inf")
    assert not summed(logit_MV, torch.arange(M)).isfinite()
