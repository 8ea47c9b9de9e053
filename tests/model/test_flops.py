from collections.abc import Callable

import torch

from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.flops import Flops, count_flops

MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]
LAYERS, D, INNER, V, L = 3, 48, 53, 61, 13


def test_flops_are_those_of_the_matrix_products(make_model: MakeModel) -> None:
    """2 FLOPs per multiply-add; the backward pass has two products for each of the forward pass."""
    projections = 4 * 2 * L * D * D
    scores_and_mixing = 2 * 2 * L * L * D
    feed_forward = 2 * 2 * L * D * INNER
    pair_head = 2 * D * D + 2 * D * 2
    mlm_head = 2 * D * D + 2 * D * V
    flops = count_flops(make_model(), L)
    assert flops.per_sequence == 3 * (LAYERS * (projections + scores_and_mixing + feed_forward) + pair_head)
    assert flops.per_prediction == 3 * mlm_head


def test_a_step_costs_its_sequences_and_its_predictions(make_batch: MakeBatch) -> None:
    batch = make_batch()
    assert Flops(per_sequence=1000, per_prediction=10).of_step(batch) == 5 * 1000 + len(batch.target_M) * 10


def test_counting_leaves_the_model_as_it_was(make_model: MakeModel) -> None:
    model = make_model(dropout=0.5).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_flops(model, L)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_dropout_costs_no_flops(make_model: MakeModel) -> None:
    assert count_flops(make_model(dropout=0.5).train(), L) == count_flops(make_model(), L)
