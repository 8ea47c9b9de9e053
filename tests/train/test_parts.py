"""The parts of a batch make up the batch: each row and each prediction once, and losses that add up."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.objective import Joint
from bertlab.sweep.run import Job
from bertlab.train.parts import contribution, part_of

Prepared = Callable[..., Job]


@pytest.fixture
def batch(prepared: Prepared) -> Batch:
    return prepared("batch.size=7").batches(0)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_every_row_and_every_prediction_is_in_one_part(batch: Batch, parts: int) -> None:
    cut = [part_of(batch, number, parts).batch for number in range(parts)]
    sizes = [len(part.ids_BL) for part in cut]
    assert max(sizes) - min(sizes) <= 1
    for name in ("ids_BL", "segments_BL", "target_M", "pair_B"):
        assert torch.equal(torch.cat([getattr(part, name) for part in cut]), getattr(batch, name))
    read = torch.cat([part.ids_BL.flatten()[part.position_M] for part in cut])
    assert torch.equal(read, batch.ids_BL.flatten()[batch.position_M])


def test_shares_of_all_parts_are_one(batch: Batch) -> None:
    cut = [part_of(batch, number, 3).share for number in range(3)]
    for name in cut[0]:
        assert sum(float(share[name]) for share in cut) == pytest.approx(1)
    assert len({float(share["mlm_loss"]) for share in cut}) > 1, "parts of equal shares would show nothing"


def test_contributions_of_unequal_parts_add_up_to_the_loss_and_the_gradient_of_the_batch(
    batch: Batch, prepared: Prepared
) -> None:
    objective = Joint(mlm_weight=0.7, pair_weight=1.3)
    model = prepared("batch.size=7", "model.dropout=0").initial_model()
    whole = objective(model(batch), batch)
    whole["loss"].backward()
    expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    found = dict.fromkeys(whole, 0.0)
    for number in range(3):
        part = part_of(batch, number, 3)
        added = contribution(objective(model(part.batch), part.batch), part.share)
        added["loss"].backward()
        found = {name: found[name] + added[name].item() for name in whole}
    assert found == pytest.approx({name: loss.item() for name, loss in whole.items()}, rel=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-7)


def test_a_part_without_pairs_adds_nothing_and_no_nan(batch: Batch, prepared: Prepared) -> None:
    pair_B = batch.pair_B.clone()
    pair_B[:3] = NO_PAIR
    batch = replace(batch, pair_B=pair_B)
    part = part_of(batch, 0, 3)
    model = prepared("batch.size=7").initial_model()
    added = contribution(Joint(mlm_weight=1, pair_weight=1)(model(part.batch), part.batch), part.share)
    assert added["pair_loss"] == 0
    assert torch.isfinite(added["loss"])


def test_a_part_without_predictions_adds_no_token(batch: Batch, prepared: Prepared) -> None:
    late_M = batch.position_M >= 3 * batch.ids_BL.shape[1]
    batch = replace(batch, position_M=batch.position_M[late_M], target_M=batch.target_M[late_M])
    part = part_of(batch, 0, 3)
    model = prepared("batch.size=7").initial_model()
    added = contribution(Joint(mlm_weight=1, pair_weight=1)(model(part.batch), part.batch), part.share)
    assert added["mlm_loss"] == 0


def test_a_term_whose_share_is_not_known_is_refused(batch: Batch) -> None:
    losses: dict[str, Any] = {"loss": torch.ones(()), "z_loss": torch.ones(())}
    with pytest.raises(InputError, match=r"^objective must have no other terms than .*, got z_loss; leave out"):
        contribution(losses, part_of(batch, 0, 3).share)
