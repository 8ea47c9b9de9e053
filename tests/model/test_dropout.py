"""Dropout keeps the mean, and attention with dropped weights is otherwise the same attention."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bertlab.model.dropout import dropout
from bertlab.model.score import softmax
from bertlab.model.sight import Sight

B, H, L, K = 3, 2, 5, 4
NOWHERE: Any = None  # scores do not ask the position
ALMOST_NONE = 1e-9  # rounded to no dropout, but with the code path of dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_p_is_dropped_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    x = dropout(torch.ones(400_003), p)
    assert (x == 0).float().mean().item() == pytest.approx(p, abs=0.003)
    assert x.mean().item() == pytest.approx(1, abs=0.01)
    assert torch.unique(x).tolist() == pytest.approx([0, 1 / (1 - p)], rel=1e-4)


def test_the_gradient_goes_where_the_value_went() -> None:
    torch.manual_seed(0)
    x = torch.ones(7, 11, requires_grad=True)
    kept = dropout(x, 0.5)
    (gradient,) = torch.autograd.grad(kept.sum(), x)
    assert torch.equal(gradient, kept)


def test_equal_seeds_drop_equally_and_others_otherwise() -> None:
    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return dropout(torch.ones(1000), 0.5)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(100_000), 0.5) > 0).float() - 0.5
    for lag in (1, 2, 3, 4, 8):
        assert (kept[lag:] * kept[:-lag]).mean().item() == pytest.approx(0, abs=0.004)


def test_nothing_is_dropped_outside_of_training_or_at_zero() -> None:
    x = torch.ones(9)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0) is x


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_allowed", [False, True])
def test_attention_that_could_drop_weights_equals_the_fused_kernel(with_bias: bool, with_allowed: bool) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(B, H, L, K, requires_grad=True) for _ in range(3))
    allowed = torch.rand(B, 1, L, L) < 0.5
    allowed[0, 0, 0] = False  # a token that may attend to no token

    sight = Sight(NOWHERE, None, allowed if with_allowed else None, torch.randn(H, L, L) if with_bias else None)
    found = []
    for p in (0.0, ALMOST_NONE):
        mixed = softmax(query, key, value, sight, scale=0.7, dropout=p)
        gradients = torch.autograd.grad(mixed.square().sum(), (query, key, value))
        found.append((mixed, *gradients))
    for fused, plain in zip(*found, strict=True):
        torch.testing.assert_close(plain, fused)


def test_attention_drops_weights() -> None:
    torch.manual_seed(0)
    same = torch.zeros(B, H, L, K)
    sight = Sight(NOWHERE)
    mixed = torch.stack([softmax(same, same, same + 1, sight, scale=1.0, dropout=0.4) for _ in range(2000)])
    assert mixed.std().item() > 0.1
    assert mixed.mean().item() == pytest.approx(1, abs=0.01)
