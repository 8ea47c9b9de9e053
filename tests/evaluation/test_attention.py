"""Attention with known weights, and heads that are known to be useless."""

import pytest
import torch
from torch import nn

from bertlab.data.batches import Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.data.tokenizer import CLS, PAD, SEP
from bertlab.evaluation.attention import Spread, mixing, pruning_cost
from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert
from tests.evaluation.conftest import MakeSmall

V, REAL = 23, 7


@pytest.fixture
def small(make_small: MakeSmall) -> MakeSmall:
    """Make a model of two layers with two heads each."""
    sizes = ("model.width=12", "model.inner=11", "model.heads=2", "model.dropout=0", "model.dense_std=0.3")
    return lambda *options: make_small(V, 9, *sizes, *options).eval()


@pytest.fixture
def batch() -> Batch:
    ids_BL = torch.tensor([[CLS, 9, 10, 11, 12, 13, SEP, PAD, PAD], [CLS, 13, 14, 15, 9, 8, SEP, PAD, PAD]])
    nothing = torch.empty(0, dtype=torch.long)
    return Batch(ids_BL, torch.zeros_like(ids_BL), ids_BL != PAD, nothing, nothing, torch.tensor([NO_PAIR] * 2), False)


def attentions(model: nn.Module) -> list[SelfAttention]:
    return [module for module in model.modules() if isinstance(module, SelfAttention)]


@torch.no_grad()
def measured(model: Bert, batch: Batch) -> dict[str, float]:
    spread, expected = Spread(), model.encode(batch)
    with mixing(model, spread.watching):
        assert torch.equal(model.encode(batch), expected), "watching changes nothing"
    return spread.measures()


@torch.no_grad()
def test_even_weights_have_all_the_entropy(small: MakeSmall, batch: Batch) -> None:
    """Padding aside: seven tokens have p = 1/7 each."""
    model = small()
    for attention in attentions(model):
        nn.init.zeros_(attention.get_submodule("query").weight)
    measures = measured(model, batch)
    assert measures["attention_entropy"] == pytest.approx(1, abs=1e-5)
    assert measures["softmax_gradient"] == pytest.approx(1 - 1 / REAL, abs=1e-5)


@torch.no_grad()
def test_sharp_weights_have_none_and_let_no_gradient_through(small: MakeSmall, batch: Batch) -> None:
    model, mild = small(), measured(small(), batch)
    for attention in attentions(model):
        attention.get_submodule("query").weight.mul_(1e4)
    sharp = measured(model, batch)
    assert sharp["attention_entropy"] < 0.01 < 0.2 < mild["attention_entropy"] < 1
    assert sharp["softmax_gradient"] < 0.01 < mild["softmax_gradient"]


@torch.no_grad()
def test_a_token_counts_the_tokens_it_may_look_at(small: MakeSmall, batch: Batch) -> None:
    """Even weights over one to seven tokens: the first can only attend to itself and is left out."""
    model = small("model/visibility=left_to_right")
    for attention in attentions(model):
        nn.init.zeros_(attention.get_submodule("query").weight)
    measures = measured(model, batch)
    assert measures["attention_entropy"] == pytest.approx(1, abs=1e-5)
    assert measures["softmax_gradient"] == pytest.approx(sum(1 - 1 / n for n in range(2, 8)) / 6, abs=1e-5)


@pytest.mark.parametrize("option", ["model/score=linear", "model/attention=none", "model/attention=fourier"])
def test_weights_that_are_no_distribution_have_no_entropy(small: MakeSmall, batch: Batch, option: str) -> None:
    assert measured(small(option, "model/position=learned"), batch) == {}


def test_the_model_is_left_as_it_was(small: MakeSmall, batch: Batch) -> None:
    model = small()
    mixes = [attention.mix for attention in attentions(model)]
    with pytest.raises(ZeroDivisionError), mixing(model, Spread().watching):
        raise ZeroDivisionError
    assert [attention.mix for attention in attentions(model)] == mixes


@torch.no_grad()
def test_the_least_useful_heads_go_first(small: MakeSmall, batch: Batch) -> None:
    """The loss is the change of the states; half of all heads can be removed at no cost: nothing reads their output."""
    model = small()
    idle = ((0, 1), (1, 0))
    for place, head in idle:
        attentions(model)[place].get_submodule("output").weight[:, 6 * head : 6 * (head + 1)] = 0
    expected = model.encode(batch)

    def losses() -> tuple[float, float]:
        moved = float((model.encode(batch) - expected).abs().sum())
        return moved, 3 + 2 * moved

    cost = pruning_cost(model, [0.25, 0.3, 0.5, 0.75], losses)  # .3 would be 1.2 heads
    assert list(cost) == ["pruning_cost.heads_25", "pruning_cost.heads_50", "pruning_cost.heads_75"]
    assert cost["pruning_cost.heads_25"] == cost["pruning_cost.heads_50"] == 0
    busy = []
    for place, head in ((0, 0), (1, 1)):
        weight = attentions(model)[place].get_submodule("output").weight
        kept = weight[:, 6 * head : 6 * (head + 1)].clone()
        weight[:, 6 * head : 6 * (head + 1)] = 0
        busy.append(float((model.encode(batch) - expected).abs().sum()))
        weight[:, 6 * head : 6 * (head + 1)] = kept
    assert cost["pruning_cost.heads_75"] == pytest.approx(2 * min(busy)), "the judge's loss, not the one that ranks"


def test_a_model_without_heads_has_none_to_leave_out(small: MakeSmall) -> None:
    assert pruning_cost(small("model/attention=none", "model/position=learned"), [0.5], lambda: (0.0, 0.0)) == {}
