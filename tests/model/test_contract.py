"""What every part of a model must do, whichever YAML file chose it: a new file is tested here without an edit."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest
import torch
from torch import Tensor

from bertlab.batch import Batch
from bertlab.compose import CONF
from bertlab.model.bert import Bert
from bertlab.model.flops import count_flops
from bertlab.objective.joint import Joint

B, L, V, D, LONGER = 5, 13, 61, 42, 17
LOSS = Joint(mlm_weight=1.0, pair_weight=1.0)
CROSSED = ("position", "norm", "attention", "block")  # every combination; other groups are varied one at a time
GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted((CONF / "model").iterdir())
    if folder.is_dir()
}
MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]


def combinations() -> Iterator[dict[str, str]]:
    for names in product(*(GROUPS[group] for group in CROSSED)):
        yield dict(zip(CROSSED, names, strict=True))
    for group in sorted(GROUPS.keys() - set(CROSSED)):
        yield from ({group: name} for name in GROUPS[group])


@pytest.fixture(scope="module", params=list(combinations()), ids=lambda parts: "-".join(parts.values()))
def model(request: pytest.FixtureRequest, make_model: MakeModel) -> Bert:
    return make_model(request.param)


def states(model: Bert, batch: Batch) -> Tensor:
    with torch.no_grad():
        return model.encode(batch.ids_BL, batch.segments_BL, batch.real_BL)


def assert_same_on_real_tokens(model: Bert, batch: Batch, other: Batch) -> None:
    real_BL = batch.real_BL
    assert real_BL is not None
    torch.testing.assert_close(
        states(model, other)[:, : real_BL.shape[1]][real_BL], states(model, batch)[real_BL], atol=1e-5, rtol=0
    )
    with torch.no_grad():
        torch.testing.assert_close(model(other).mlm_MV, model(batch).mlm_MV, atol=1e-5, rtol=0)
        torch.testing.assert_close(model(other).pair_B2, model(batch).pair_B2, atol=1e-5, rtol=0)


def test_every_part_group_is_known_to_the_model() -> None:
    from bertlab.model.bert import Parts

    assert set(GROUPS) == set(Parts.__annotations__)


def test_outputs_have_their_shapes(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    output = model(batch)
    assert states(model, batch).shape == (B, L, D)
    assert output.mlm_MV.shape == (len(batch.position_M), V)
    assert output.pair_B2.shape == (B, 2)


def test_predicted_logits_are_those_of_the_whole_sequence(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    with torch.no_grad():
        every_BLV = model.mlm_head(states(model, batch), model.embedding.token.weight)
        expected_MV = torch.stack([every_BLV[place // L, place % L] for place in batch.position_M.tolist()])
        torch.testing.assert_close(model(batch).mlm_MV, expected_MV, atol=1e-5, rtol=0)


def test_padding_content_never_changes_real_outputs(model: Bert, make_batch: MakeBatch) -> None:
    assert_same_on_real_tokens(model, make_batch(), make_batch(filler=7))


def test_padding_amount_never_changes_real_outputs(model: Bert, make_batch: MakeBatch) -> None:
    assert_same_on_real_tokens(model, make_batch(), make_batch(length=LONGER))


def test_real_tokens_do_change_outputs(model: Bert, make_batch: MakeBatch) -> None:
    batch, other = make_batch(), make_batch()
    other.ids_BL[0, 3] = batch.ids_BL[0, 3] % 50 + 6
    moved_BL = (states(model, other) - states(model, batch)).abs().amax(-1)
    assert (moved_BL[0] > 1e-4).all(), "every token must see every other one of its row"
    assert (moved_BL[1:] == 0).all(), "rows must not see each other"


def test_no_padding_is_the_same_as_a_mask_that_is_all_true(model: Bert, make_batch: MakeBatch) -> None:
    ids_BL, segments_BL = make_batch().ids_BL, make_batch().segments_BL
    with torch.no_grad():
        unmasked_BLD = model.encode(ids_BL, segments_BL, None)
        masked_BLD = model.encode(ids_BL, segments_BL, torch.ones(B, L, dtype=torch.bool))
    torch.testing.assert_close(unmasked_BLD, masked_BLD, atol=1e-5, rtol=0)


def test_loss_and_gradients_of_all_parameters_are_finite(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    loss = LOSS(model(batch), batch)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    assert loss.isfinite()
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    still = [name for name, gradient in gradients.items() if gradient is not None and not gradient.any()]
    assert still == [], "a parameter without any gradient takes no part"


def test_a_few_steps_lower_the_loss_of_a_memorised_batch(model: Bert, make_batch: MakeBatch) -> None:
    batch, before = make_batch(), {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        losses.append(LOSS(model(batch), batch)["loss"])
        optimizer.zero_grad()
        losses[-1].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.load_state_dict(before)
    model.zero_grad(set_to_none=True)
    assert losses[-1] < 0.7 * losses[0]


def test_flops_are_counted_and_leave_no_gradients(model: Bert) -> None:
    flops = count_flops(model, L)
    assert flops.per_sequence > 0
    assert flops.per_prediction > 0
    assert all(parameter.grad is None for parameter in model.parameters())
