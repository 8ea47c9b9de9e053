"""The contract of every part of a model, for every YAML file: a new file is tested here without an edit.

Every option is tested alone on the base model, and every pair of options of different groups.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product

import pytest
import torch
import yaml
from torch import Tensor

from bertlab.commands.check.model import (
    CONTRACTS,
    LONGER,
    LOSS,
    B,
    L,
    every_parameter_has_a_finite_gradient,
    nothing_leaks,
    require_same_outputs,
    small_batch,
    states,
    still_parameters,
    the_content_of_padding_never_changes_real_outputs,
)
from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model import packing
from bertlab.model.bert import Bert, Output
from bertlab.model.flops import count_flops
from tests.hardware import needs_gpu

D = 48
BASE = yaml.safe_load((CONF / "model" / "base.yaml").read_text("utf-8"))
GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted((CONF / "model").iterdir())
    if folder.is_dir()
}
MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]


def pairs(group: str, other: str) -> Iterator[dict[str, str]]:
    """Yield every pair of options of two groups, without those of base, which are tested with everything."""
    for name, option in product(GROUPS[group], GROUPS[other]):
        if is_new(group, name, other, option):
            yield {group: name, other: option}


def is_new(*chosen: str) -> bool:
    base = {group: name for default in BASE["defaults"] for group, name in default.items()}
    return all(base[group] != name for group, name in zip(chosen[::2], chosen[1::2], strict=True))


def attempt(make_model: MakeModel, parts: dict[str, str]) -> tuple[Bert | None, str]:
    """Return a model of these parts, or the reason why it is impossible."""
    try:
        return make_model(parts, layers=2), ""
    except InputError as error:
        return None, str(error)


def label(parts: dict[str, str]) -> str:
    return ",".join(f"{group}={name}" for group, name in parts.items())


@pytest.fixture(scope="module", params=[{group: name} for group, names in GROUPS.items() for name in names], ids=label)
def model(request: pytest.FixtureRequest, make_model: MakeModel) -> Bert:
    return make_model(request.param)


def test_every_part_group_is_known_to_the_model() -> None:
    from bertlab.model.bert import Parts

    assert set(GROUPS) == set(Parts.__annotations__) == {group for default in BASE["defaults"] for group in default}


def the_layers_end_in_what_the_model_reads(model: Bert) -> None:
    batch = small_batch()
    with torch.no_grad():
        shown = model.layers(batch)
    assert [states_BLD.shape for states_BLD in shown] == [(B, L, D)] * (len(model.blocks) + 1)
    assert torch.equal(shown[-1], states(model, batch))


def flops_are_counted_and_leave_no_gradients(model: Bert) -> None:
    flops = count_flops(model, L)
    assert flops.per_sequence > 0
    assert flops.per_prediction > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def a_model_trains_in_half_precision(model: Bert) -> None:
    batch = small_batch()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch)
    half = Output(output.state_MD.float(), output.token_VD, output.bias_V, output.pair_B2.float())
    assert still_parameters(model, half, batch) == []


def test_every_part_keeps_the_contracts(model: Bert) -> None:
    own = (
        the_layers_end_in_what_the_model_reads,
        flops_are_counted_and_leave_no_gradients,
        a_model_trains_in_half_precision,
    )
    for contract in (*CONTRACTS, *own):
        contract(model)


def test_a_model_that_leaks_or_learns_nothing_breaks_contracts(make_model: MakeModel) -> None:
    with pytest.raises(AssertionError, match="states"):
        the_content_of_padding_never_changes_real_outputs(make_model(padding_mask=False))
    with pytest.raises(AssertionError, match="depends on the token at 1"):
        nothing_leaks(make_model(), "left_to_right")
    frozen = make_model()
    frozen.mlm_head.bias.register_hook(torch.zeros_like)
    with pytest.raises(AssertionError, match=r"no gradient reaches mlm_head\.bias"):
        every_parameter_has_a_finite_gradient(frozen)


def test_leaving_out_unneeded_states_changes_neither_outputs_nor_gradients(
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
    """Return the function that computes the losses of a batch."""
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
    """Traced for torch.compile, but computed without it; room for more predictions changes nothing."""
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


@pytest.mark.slow
@pytest.mark.parametrize(("group", "other"), list(combinations(GROUPS, 2)))
def test_any_two_options_work_together_or_are_refused_in_one_line(
    group: str, other: str, make_model: MakeModel
) -> None:
    for parts in pairs(group, other):
        try:
            work_together_or_are_refused(parts, make_model)
        except Exception as error:
            error.add_note(label(parts))
            raise


def work_together_or_are_refused(parts: dict[str, str], make_model: MakeModel) -> None:
    model, refusal = attempt(make_model, parts)
    if model is None:
        assert "\n" not in refusal
        assert all(f"model/{group}" in refusal for group in parts), "a refusal names both groups"
        return
    batch = small_batch()
    output = model(batch)
    still_parameters(model, output, batch)
    require_same_outputs(model, output, small_batch(length=LONGER, filler=7))


@pytest.mark.parametrize("parts", [{group: name} for group, names in GROUPS.items() for name in names], ids=label)
def test_a_model_is_built_without_memory(parts: dict[str, str], make_model: MakeModel) -> None:
    with torch.device("meta"):
        values = [*make_model(parts, initial=False).parameters(), *make_model(parts, initial=False).buffers()]
    assert {value.device.type for value in values} == {"meta"}
