"""Gated attention, value residual and layers without biases: they follow their formulas, and nothing leaks."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bertlab.commands.check.model import nothing_leaks, small_batch, states
from bertlab.config.errors import InputError
from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert
from bertlab.model.gated import Gated

MakeModel = Callable[..., Bert]
NEW = ({"attention": "gated"}, {"sharing": "values"}, {"attention": "gated", "sharing": "values"})


def attentions(model: Bert) -> list[SelfAttention]:
    return [module for module in model.modules() if isinstance(module, SelfAttention)]


@pytest.mark.parametrize("visibility", ["left_to_right", "right_to_left", "diagonal_position"])
def test_gates_and_values_of_the_first_layer_give_away_no_hidden_token(make_model: MakeModel, visibility: str) -> None:
    for parts in NEW:
        nothing_leaks(make_model({**parts, "visibility": visibility}), visibility)


@torch.no_grad()
def test_open_gates_leave_attention_as_it_is_and_closed_ones_let_nothing_through(make_model: MakeModel) -> None:
    plain, gated = make_model(), make_model({"attention": "gated"})
    weights = {
        name.replace(".output.", ".project.") if "attention" in name else name: each
        for name, each in plain.state_dict().items()
    }
    missing, strange = gated.load_state_dict(weights, strict=False)
    assert not strange
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in missing} == {"gate"}
    batch = small_batch()
    for attention in attentions(gated):
        assert isinstance(attention, Gated)
        attention.gate.weight.zero_()
        attention.gate.bias.fill_(50.0)
    torch.testing.assert_close(states(gated, batch), states(plain, batch))
    for attention, other in zip(attentions(gated), attentions(plain), strict=True):
        attention.gate.bias.fill_(-200.0)
        other.output.weight.zero_()
    torch.testing.assert_close(states(gated, batch), states(plain, batch))


@torch.no_grad()
def test_later_layers_mix_half_of_the_first_values(make_model: MakeModel) -> None:
    model = make_model({"sharing": "values"}, layers=3)
    seen: list[torch.Tensor] = []

    def watch(mix: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def mixed(
            query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: object, **more: object
        ) -> torch.Tensor:
            seen.append(value)
            return mix(query, key, value, *rest, **more)

        return mixed

    made: list[torch.Tensor] = []
    for attention in attentions(model):
        attention.value.register_forward_hook(lambda _, __, out: made.append(out))
        attention.mix.mix = watch(attention.mix.mix)  # type: ignore[attr-defined]
    states(model, replace(small_batch(), real_BL=None))  # nothing is packed
    flat = [value.transpose(1, 2).flatten(2) for value in seen]
    torch.testing.assert_close(flat[0], made[0])
    for own, mixed in zip(made[1:], flat[1:], strict=True):
        torch.testing.assert_close(mixed, 0.5 * own + 0.5 * made[0])
    assert all(attention.mix.values.first_BHLK is None for attention in attentions(model))  # type: ignore[attr-defined]


def test_values_need_layers_that_have_them(make_model: MakeModel) -> None:
    with pytest.raises(InputError, match=r"^model\.layers must be at least 2 for model/sharing, got 1"):
        make_model({"sharing": "values"}, layers=1)
    with pytest.raises(InputError, match=r"^model/sharing shares values, which layers with this model/attention have"):
        make_model({"sharing": "values", "attention": "none"})


def test_layers_without_biases_have_none_and_the_matrices_of_those_with(make_model: MakeModel) -> None:
    for feed_forward in ("gelu", "geglu"):
        plain = make_model({"feed_forward": feed_forward})
        bare = make_model({"attention": "no_bias", "feed_forward": f"{feed_forward}_no_bias", "norm": "rms"})
        assert not [name for name, _ in bare.named_parameters() if name.startswith("blocks") and name.endswith("bias")]
        own = {name: each.shape for name, each in bare.named_parameters() if "norm" not in name}
        assert own == {
            name: each.shape
            for name, each in plain.named_parameters()
            if "norm" not in name and not (name.startswith("blocks") and name.endswith("bias"))
        }
