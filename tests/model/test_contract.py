"""What every part of a model must do, whichever YAML file chose it: a new file is tested here without an edit.

Every option is tested by itself on the base model, and every two options of different groups together.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

import pytest
import torch
import yaml
from torch import Tensor
from torch.nn.functional import linear

from bertlab.batch.batches import Batch
from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.model import packing
from bertlab.model.attention import Mixer
from bertlab.model.bert import Bert, Output
from bertlab.model.flops import count_flops
from bertlab.objective.joint import Joint
from tests.hardware import needs_gpu

B, L, V, D, LONGER = 5, 13, 61, 48, 17
BASE = yaml.safe_load((CONF / "model" / "base.yaml").read_text("utf-8"))
LOSS = Joint(mlm_weight=1.0, pair_weight=1.0)
GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted((CONF / "model").iterdir())
    if folder.is_dir()
}
MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]


def pairs() -> Iterator[dict[str, str]]:
    """Yield any two options of different groups; base's own are with everything already."""
    for (group, names), (other, others) in combinations(GROUPS.items(), 2):
        for name in names:
            yield from ({group: name, other: option} for option in others if is_new(group, name, other, option))


def is_new(*chosen: str) -> bool:
    base = {group: name for default in BASE["defaults"] for group, name in default.items()}
    return all(base[group] != name for group, name in zip(chosen[::2], chosen[1::2], strict=True))


def attempt(make_model: MakeModel, parts: dict[str, str]) -> tuple[Bert | None, str]:
    """Return a model of these parts, or why there can be none."""
    try:
        return make_model(parts, layers=2), ""
    except InputError as error:
        return None, str(error)


def label(parts: dict[str, str]) -> str:
    return ",".join(f"{group}={name}" for group, name in parts.items())


@pytest.fixture(scope="module", params=[{group: name} for group, names in GROUPS.items() for name in names], ids=label)
def model(request: pytest.FixtureRequest, make_model: MakeModel) -> Bert:
    return make_model(request.param)


def states(model: Bert, batch: Batch) -> Tensor:
    with torch.no_grad():
        return model.encode(batch)


def assert_same_on_real_tokens(model: Bert, batch: Batch, other: Batch) -> None:
    real_BL = batch.real_BL
    assert real_BL is not None
    torch.testing.assert_close(
        states(model, other)[:, : real_BL.shape[1]][real_BL], states(model, batch)[real_BL], atol=1e-5, rtol=0
    )
    assert_same_outputs(model, model(batch), other)


def assert_same_outputs(model: Bert, ours: Output, other: Batch) -> None:
    with torch.no_grad():
        theirs = model(other)
    torch.testing.assert_close(theirs.mlm_MV, ours.mlm_MV, atol=1e-5, rtol=0)
    torch.testing.assert_close(theirs.pair_B2, ours.pair_B2, atol=1e-5, rtol=0)


def assert_finite_gradients(model: Bert, output: Output, batch: Batch) -> list[str]:
    """Check every parameter that is not frozen, and return the names of those without any gradient."""
    loss = LOSS(output, batch)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.zero_grad(set_to_none=True)
    assert loss.isfinite()
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    return [name for name, gradient in gradients.items() if gradient is not None and not gradient.any()]


def test_every_part_group_is_known_to_the_model() -> None:
    from bertlab.model.bert import Parts

    assert set(GROUPS) == set(Parts.__annotations__) == {group for default in BASE["defaults"] for group in default}


def test_outputs_have_their_shapes(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    output = model(batch)
    assert states(model, batch).shape == (B, L, D)
    assert output.mlm_MV.shape == (len(batch.position_M), V)
    assert output.pair_B2.shape == (B, 2)


def test_the_layers_end_in_what_the_model_reads(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    with torch.no_grad():
        shown = model.layers(batch)
    assert [states_BLD.shape for states_BLD in shown] == [(B, L, D)] * (len(model.blocks) + 1)
    assert torch.equal(shown[-1], states(model, batch))


def test_predicted_logits_are_those_of_the_whole_sequence(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    with torch.no_grad():
        every_BLV = linear(model.mlm_head(states(model, batch)), model.decoder_weight, model.mlm_head.bias)
        expected_MV = torch.stack([every_BLV[place // L, place % L] for place in batch.position_M.tolist()])
        torch.testing.assert_close(model(batch).mlm_MV, expected_MV, atol=1e-5, rtol=0)


def test_padding_content_never_changes_real_outputs(model: Bert, make_batch: MakeBatch) -> None:
    assert_same_on_real_tokens(model, make_batch(), make_batch(filler=7))


def test_padding_amount_never_changes_real_outputs(model: Bert, make_batch: MakeBatch) -> None:
    assert_same_on_real_tokens(model, make_batch(), make_batch(length=LONGER))


def test_leaving_out_what_nobody_needs_changes_neither_outputs_nor_gradients(
    model: Bert, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, found = make_batch(), list[dict[str, Tensor]]()
    always, never = 0.0, 2.0  # is it worth it to leave out padding, and tokens whose answer nobody reads
    for worth, reads_few in ((never, False), (never, model.reads_few), (always, model.reads_few)):
        monkeypatch.setattr(packing, "WORTH_IT", worth)
        monkeypatch.setattr(model, "reads_few", reads_few)
        output = model(batch)
        LOSS(output, batch)["loss"].backward()  # type: ignore[no-untyped-call]
        gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
        found.append({"MLM logits": output.mlm_MV.detach(), "pair logits": output.pair_B2.detach(), **gradients})
        model.zero_grad(set_to_none=True)
    plain, *others = found
    for other in others:
        assert other.keys() == plain.keys()
        assert_same_by_name(other, plain, atol=1e-5, rtol=1e-4)


def assert_same_by_name(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, atol: float, rtol: float
) -> None:
    for name, tensor in expected.items():
        torch.testing.assert_close(
            found[name], tensor, atol=atol, rtol=rtol, msg=lambda text, name=name: f"{name}: {text}"
        )


def step_of(model: Bert) -> Callable[[Batch], dict[str, Tensor]]:
    """Return what computes the losses of a batch."""
    return lambda batch: LOSS(model(batch), batch)


def outcome(compute: Callable[[Batch], dict[str, Tensor]], model: Bert, batch: Batch) -> dict[str, Tensor]:
    """Return the losses and gradients of a step by name, on the CPU."""
    losses = compute(batch)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad(set_to_none=True)
    return {name: each.detach().cpu() for name, each in {**losses, **gradients}.items()}


@pytest.mark.parametrize("parts", [{group: name} for group, names in GROUPS.items() for name in names], ids=label)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_a_step_is_traced_as_one_graph_and_does_the_same(
    parts: dict[str, str], make_model: MakeModel, make_batch: MakeBatch
) -> None:
    """Traced for torch.compile, but computed as without it; room for more predictions changes nothing."""
    model, batch = make_model(parts, layers=2), make_batch()
    step = step_of(model)
    torch.compiler.reset()  # else it counts all models as forms of one, and there are too many
    traced = torch.compile(step, backend="eager", fullgraph=True)
    plain, ours = outcome(step, model, batch), outcome(traced, model, batch.with_room(len(batch.target_M) + 7))
    assert ours.keys() == plain.keys()
    assert_same_by_name(ours, plain, atol=1e-5, rtol=1e-4)


@needs_gpu
def test_a_gpu_does_the_same(model: Bert, make_batch: MakeBatch) -> None:
    batch, step = make_batch(), step_of(model)
    plain = outcome(step, model, batch)
    ours = outcome(step, model.cuda(), batch.to("cuda"))
    model.cpu()
    assert_same_by_name(ours, plain, atol=1e-4, rtol=1e-3)


def test_real_tokens_do_change_outputs(model: Bert, make_batch: MakeBatch) -> None:
    if model.visibility.restricts or not any(isinstance(module, Mixer) for module in model.modules()):
        pytest.skip("not every token sees every other one: tested with visibility")
    batch, other = make_batch(), make_batch()
    other.ids_BL[0, 3] = batch.ids_BL[0, 3] % 50 + 6
    moved_BL = (states(model, other) - states(model, batch)).abs().amax(-1)
    assert (moved_BL[0] > 0).all(), "every token must see every other one of its row"
    assert (moved_BL[1:] == 0).all(), "rows must not see each other"


def test_no_padding_is_the_same_as_a_mask_that_is_all_true(model: Bert, make_batch: MakeBatch) -> None:
    none = replace(make_batch(), real_BL=None)
    true = replace(make_batch(), real_BL=torch.ones(B, L, dtype=torch.bool))
    torch.testing.assert_close(states(model, none), states(model, true), atol=1e-5, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(model(none).pair_B2, model(true).pair_B2, atol=1e-5, rtol=0)


def test_a_row_of_padding_only_gives_finite_outputs_and_gradients(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    assert batch.real_BL is not None
    empty = replace(batch, real_BL=batch.real_BL & (torch.arange(B) > 0)[:, None])
    assert states(model, empty).isfinite().all()
    assert_finite_gradients(model, model(empty), empty)


def test_loss_and_gradients_of_all_parameters_are_finite(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    still = assert_finite_gradients(model, model(batch), batch)
    assert still == [], "a parameter without any gradient takes no part"


def test_a_few_steps_lower_the_loss_of_a_memorised_batch(model: Bert, make_batch: MakeBatch) -> None:
    model.train()
    batch, before = make_batch(), {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        losses.append(LOSS(model(batch), batch)["loss"])
        optimizer.zero_grad()
        losses[-1].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.load_state_dict(before)
    model.eval().zero_grad(set_to_none=True)
    assert losses[-1] < 0.9 * losses[0]


def test_flops_are_counted_and_leave_no_gradients(model: Bert) -> None:
    flops = count_flops(model, L)
    assert flops.per_sequence > 0
    assert flops.per_prediction > 0
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("parts", list(pairs()), ids=label)
def test_any_two_options_work_together_or_are_refused_in_one_line(
    parts: dict[str, str], make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, refusal = attempt(make_model, parts)
    if model is None:
        assert "\n" not in refusal
        assert all(f"model/{group}" in refusal for group in parts), "a refusal names both groups"
        return
    batch = make_batch()
    output = model(batch)
    assert_finite_gradients(model, output, batch)
    assert_same_outputs(model, output, make_batch(length=LONGER, filler=7))


def test_a_model_trains_in_half_precision(model: Bert, make_batch: MakeBatch) -> None:
    batch = make_batch()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch)
    half = Output(output.state_MD.float(), output.token_VD, output.bias_V, output.pair_B2.float())
    assert assert_finite_gradients(model, half, batch) == []


@pytest.mark.parametrize("parts", [{group: name} for group, names in GROUPS.items() for name in names], ids=label)
def test_a_model_is_built_without_memory(parts: dict[str, str], make_model: MakeModel) -> None:
    with torch.device("meta"):
        values = [*make_model(parts, initial=False).parameters(), *make_model(parts, initial=False).buffers()]
    assert {value.device.type for value in values} == {"meta"}
