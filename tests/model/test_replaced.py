"""A model with a generator, on the small batch of prime sizes: samples, visibility, and which loss trains what."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bertlab.commands.check import model as contracts
from bertlab.commands.check.model import LONGER, LONGEST, B, L, V, small_batch
from bertlab.config.bounds import check_bounds
from bertlab.config.building import build_part
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.data.tokenizer import MASK
from bertlab.model.count import count_parameters
from bertlab.model.flops import count_flops, forward_flops
from bertlab.model.init import initialise
from bertlab.model.replaced import FIRST_REAL, Detected, Replaced, build, drawn, put, sampled
from bertlab.objective.replaced import Replaced as Detecting
from bertlab.streams import Streams
from tests.model.conftest import PARTS, SIZES, part

LOSS = Detecting(detection_weight=50.0, pair_weight=1.0)
NUMBERS_N = torch.from_numpy(Streams(5).generator("order").random(B * L, dtype="float32"))


def make(generator: int = 2, **parts: str) -> Replaced:
    chosen = {group: part(group, name) for group, name in {**PARTS, **parts}.items()}
    model: Replaced = build(V, LONGEST, generator=generator, **SIZES, **chosen)
    initialise(model, Streams(3))
    return model.eval()


@pytest.fixture(scope="module")
def model() -> Replaced:
    return make()


def test_sampled_tokens_are_those_of_the_inverse_distribution() -> None:
    weight_MV = torch.tensor([[9.0] * FIRST_REAL + [1.0, 2.0, 0.0, 1.0]]).expand(5, -1)
    ids_M = sampled(weight_MV.log(), torch.tensor([0.0, 0.24, 0.26, 0.74, 0.76]))
    assert ids_M.tolist() == [5, 5, 6, 6, 8], "special tokens and those without probability are never drawn"


def test_samples_have_the_frequencies_of_their_distribution() -> None:
    """20,000 draws; tolerance four standard errors."""
    probability_V = torch.tensor([0.0] * FIRST_REAL + [0.5, 0.3, 0.2])
    uniform_M = torch.from_numpy(Streams(0).generator("order").random(20_000, dtype="float32"))
    ids_M = sampled(probability_V.log().expand(20_000, -1), uniform_M)
    share_V = ids_M.bincount(minlength=8) / 20_000
    assert torch.allclose(share_V, probability_V, atol=4 * (0.25 / 20_000) ** 0.5)


def test_later_draws_do_not_change_the_numbers_of_a_step() -> None:
    torch.manual_seed(Streams(1).integer("dropout", 7))
    first_N = drawn(11)
    torch.rand(3)
    assert torch.equal(drawn(11), first_N)
    torch.manual_seed(Streams(1).integer("dropout", 8))
    assert not torch.equal(drawn(11), first_N)


def test_a_sample_that_equals_the_original_counts_as_original(model: Replaced) -> None:
    batch = small_batch()
    with torch.no_grad():
        model.mlm_head.bias[batch.target_M[0]] += 1e4  # then the generator names nothing else
        output = model.detect(batch, NUMBERS_N)
        model.mlm_head.bias[batch.target_M[0]] -= 1e4
    original_BL = put(batch.ids_BL, batch.position_M, batch.target_M)
    wanted_BL = torch.zeros_like(original_BL, dtype=torch.bool)
    wanted_BL.view(-1)[batch.position_M] = batch.target_M != batch.target_M[0]
    assert wanted_BL.sum() == len(batch.target_M) - (batch.target_M == batch.target_M[0]).sum()
    assert torch.equal(output.replaced_BL, wanted_BL)


def test_every_token_of_the_text_is_judged_and_no_other(model: Replaced) -> None:
    batch = small_batch()
    original_BL = put(batch.ids_BL, batch.position_M, batch.target_M)
    assert torch.equal(model.detect(batch, NUMBERS_N).judged_BL, original_BL >= FIRST_REAL)
    assert batch.real_BL is not None
    assert not (model.detect(batch, NUMBERS_N).judged_BL & ~batch.real_BL).any()


def test_room_that_fills_a_batch_changes_no_output(model: Replaced) -> None:
    batch = small_batch()
    plain, roomy = model.detect(batch, NUMBERS_N), model.detect(batch.with_room(40), NUMBERS_N)
    for name in ("detected_BL", "replaced_BL", "judged_BL"):
        torch.testing.assert_close(getattr(roomy, name), getattr(plain, name))
    losses, filled = LOSS(plain, batch), LOSS(roomy, batch.with_room(40))
    assert all(torch.allclose(losses[name], filled[name]) for name in losses)


def test_originals_reach_nothing_but_labels(model: Replaced) -> None:
    """With other targets the generator and the scores of detection are the same; which tokens are replaced is not."""
    batch = small_batch()
    other = replace(batch, target_M=(batch.target_M - FIRST_REAL + 1) % (V - FIRST_REAL) + FIRST_REAL)
    with torch.no_grad():
        one, two = model.detect(batch, NUMBERS_N), model.detect(other, NUMBERS_N)
    assert torch.equal(one.generator_MV, two.generator_MV)
    assert torch.equal(one.detected_BL, two.detected_BL)


def gradients(model: Replaced, loss: Tensor) -> dict[str, bool]:
    """Return for each parameter whether any gradient of a loss reaches it."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name: each is not None and bool(each.any()) for name, each in zip(names, found, strict=True)}


def test_no_gradient_passes_through_samples(model: Replaced) -> None:
    """No gradient of detection reaches the generator and its head; none of the generator reaches the model's layers."""
    batch = small_batch()
    losses = LOSS(model.detect(batch, NUMBERS_N), batch)
    of_generator = {name for name in gradients_names(model) if name.startswith(("generator.", "mlm_head."))}
    of_model = {
        name for name in gradients_names(model) if name.startswith(("blocks.", "detection_head.", "pair_head."))
    }
    detection, naming = (
        gradients(model, LOSS(model.detect(batch, NUMBERS_N), batch)[name]) for name in ("detection_loss", "mlm_loss")
    )
    assert losses.keys() == {"loss", "mlm_loss", "detection_loss", "pair_loss"}
    assert of_generator
    assert not any(detection[name] for name in of_generator)
    assert not any(naming[name] for name in of_model)
    assert detection["embedding.token.weight"]
    assert naming["embedding.token.weight"], "both learn the embeddings"


def gradients_names(model: Replaced) -> list[str]:
    return [name for name, _ in model.named_parameters()]


def test_every_parameter_learns(model: Replaced) -> None:
    """Except biases of keys, which softmax removes: only rounding errors reach them."""
    batch = small_batch()
    reached = gradients(model, LOSS(model.detect(batch, NUMBERS_N), batch)["loss"])
    assert [name for name, is_reached in reached.items() if not is_reached and "key.bias" not in name] == []


def test_generator_and_model_share_embeddings_which_are_counted_once(model: Replaced) -> None:
    names = gradients_names(model)
    assert [name for name in names if "token" in name or "table" in name] == [
        "position.table.weight",
        "embedding.token.weight",
    ]
    assert {name.replace("embedding.position.", "position.") for name in model.state_dict()} == set(names)
    assert model.generator.encoder.shape.width == 24
    assert model.generator.encoder.shape.heads == 3
    assert "generator" in count_parameters(model)


@pytest.mark.parametrize(
    "contract",
    [
        contracts.outputs_have_their_shapes,
        contracts.the_content_of_padding_never_changes_real_outputs,
        contracts.rows_never_see_each_other_and_tokens_of_a_row_do,
    ],
)
@pytest.mark.parametrize("position", ["learned", "rotary", "alibi"])
def test_contracts_of_models_hold(contract: Callable[[Any], None], position: str) -> None:
    contract(make(position=position))


def test_the_amount_of_padding_never_changes_what_is_detected(model: Replaced) -> None:
    """The same tokens have the same numbers."""
    numbers_BL = torch.cat((NUMBERS_N.view(B, L), torch.full((B, LONGER - L), 0.5)), 1)
    short, long = model.detect(small_batch(), NUMBERS_N), model.detect(small_batch(LONGER), numbers_BL.flatten())
    assert torch.equal(long.judged_BL[:, :L], short.judged_BL)
    assert not long.judged_BL[:, L:].any()
    assert torch.equal(long.replaced_BL[:, :L], short.replaced_BL)
    torch.testing.assert_close(long.detected_BL[:, :L][short.judged_BL], short.detected_BL[short.judged_BL])


def test_a_few_steps_lower_the_loss_of_a_memorised_batch() -> None:
    model, batch = make().train(), small_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        losses.append(LOSS(model.detect(batch, NUMBERS_N), batch)["loss"])
        optimizer.zero_grad()
        losses[-1].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_flops_count_the_naming_of_a_token_once(model: Replaced) -> None:
    """More tokens in the vocabulary only add their products with each prediction."""
    chosen = {group: part(group, name) for group, name in PARTS.items()}
    larger = build(V + 100, LONGEST, generator=2, **SIZES, **chosen)
    one, two = count_flops(model, 13), count_flops(larger, 13)
    assert two.per_sequence == one.per_sequence
    assert two.per_prediction - one.per_prediction == 3 * 2 * 48 * 100
    batch = small_batch()
    assert forward_flops(model, batch)["between parts"] == 2 * len(batch.target_M) * 48 * V


def test_a_batch_in_which_nothing_is_hidden_is_the_text_itself(model: Replaced) -> None:
    batch, none = small_batch(), torch.empty(0, dtype=torch.int64)
    output: Detected = model(replace(batch, position_M=none, target_M=none))
    assert not output.replaced_BL.any()
    assert LOSS(output, replace(batch, position_M=none, target_M=none))["mlm_loss"] == 0


def test_other_parts_of_the_encoder_serve_the_generator_too() -> None:
    words = ["model=replaced", "model/attention=grouped", "model.heads=4", "model/block=pre", "model/norm=rms"]
    model: Replaced = build_part(resolved(load(words)), "model")(V, LONGEST)
    assert model(small_batch()).detected_BL.shape == (B, L)


@pytest.mark.parametrize(
    ("generator", "parts", "line"),
    [
        (5, {}, "generator must divide width 48, got 5; choose a divisor"),
        (16, {"position": "rotary"}, "generator must leave a generator that can be built, got 16: "),
        (
            2,
            {"embedding": "untied"},
            "embedding must add positions to tokens for a generator to share it, got Untied; ",
        ),
    ],
)
def test_a_generator_that_cannot_be_is_refused(generator: int, parts: dict[str, str], line: str) -> None:
    with pytest.raises(InputError) as caught:
        make(generator, **parts)
    assert str(caught.value).startswith(line)


def test_bounds_are_known_before_torch() -> None:
    with pytest.raises(InputError, match="generator must be a whole number of at least 1, got 0"):
        check_bounds("bertlab.model.replaced.build", {"generator": 0})
    assert MASK < FIRST_REAL
