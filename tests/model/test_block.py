"""Blocks, feed-forward layers, sharing and pooling."""

from collections.abc import Callable

import pytest
import torch

from bertlab.model.bert import Bert
from bertlab.model.pooling import cls, maximum, mean
from bertlab.model.sight import Sight

MakeModel = Callable[..., Bert]
LAYERS, D, INNER = 3, 48, 53
ATTENTION, FEED_FORWARD, NORM = 4 * (D * D + D), 2 * D * INNER + D + INNER, 2 * D


def size(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_a_pre_norm_block_is_torchs_own(make_model: MakeModel) -> None:
    model = make_model({"block": "pre"}, layers=1)
    theirs = torch.nn.TransformerEncoderLayer(D, 6, INNER, 0.0, "gelu", 1e-12, batch_first=True, norm_first=True).eval()
    block = model.blocks[0]
    state = {
        "self_attn.in_proj_weight": torch.cat([getattr(block.attention, n).weight for n in ("query", "key", "value")]),
        "self_attn.in_proj_bias": torch.cat([getattr(block.attention, n).bias for n in ("query", "key", "value")]),
    }
    names = {
        "self_attn.out_proj": block.attention.output,
        "linear1": block.feed_forward.expand,
        "linear2": block.feed_forward.contract,
        "norm1": block.attention_norm,
        "norm2": block.feed_forward_norm,
    }
    for name, module in names.items():
        state |= {f"{name}.{kind}": getattr(module, kind) for kind in ("weight", "bias")}
    theirs.load_state_dict(state)
    x_BLD = torch.linspace(-3, 3, 2 * 5 * D).cos().view(2, 5, D)
    with torch.no_grad():
        expected_BLD = torch.nn.functional.layer_norm(theirs(x_BLD), (D,), eps=1e-12)
        torch.testing.assert_close(block(x_BLD, Sight(model.position)), expected_BLD, atol=1e-5, rtol=0)


@pytest.mark.parametrize("block", ["post", "pre"])
def test_without_skip_connections_nothing_of_the_input_passes_by_a_part(make_model: MakeModel, block: str) -> None:
    x_BLD = torch.linspace(-3, 3, 2 * 5 * D).cos().view(2, 5, D)
    for skip in (True, False):
        model = make_model({"block": block}, skip=skip)
        with torch.no_grad():
            model.blocks[0].attention.output.weight.zero_()
            model.blocks[0].feed_forward.contract.weight.zero_()
            assert model.blocks[0](x_BLD, Sight(model.position)).any() == skip


def test_only_the_last_pre_norm_block_has_a_final_norm(make_model: MakeModel) -> None:
    names = [name for name, _ in make_model({"block": "pre"}).named_parameters() if "final_norm" in name]
    assert names == ["blocks.2.final_norm.weight", "blocks.2.final_norm.bias"]


def test_a_gated_layer_has_the_matrices_of_a_plain_one(make_model: MakeModel) -> None:
    plain, gated = (make_model({"feed_forward": name}, inner=54).blocks[0].feed_forward for name in ("gelu", "geglu"))
    matrices = [sum(value.numel() for value in part.parameters() if value.ndim == 2) for part in (plain, gated)]
    assert matrices[0] == matrices[1]


def test_a_feed_forward_layer_without_activation_is_linear(make_model: MakeModel) -> None:
    layer = make_model({"feed_forward": "linear"}).blocks[0].feed_forward
    x_D, y_D = torch.linspace(-3, 3, 2 * D).cos().view(2, D)
    with torch.no_grad():
        torch.testing.assert_close(layer(x_D + y_D) + layer(0 * x_D), layer(x_D) + layer(y_D))


@pytest.mark.parametrize(("group", "part"), [("attention", ATTENTION), ("feed_forward", FEED_FORWARD)])
def test_a_part_left_out_takes_its_norm_along(make_model: MakeModel, group: str, part: int) -> None:
    assert size(make_model()) - size(make_model({group: "none"})) == LAYERS * (part + NORM)


@pytest.mark.parametrize(
    ("sharing", "saved"),
    [
        ("none", 0),
        ("attention", ATTENTION + NORM),
        ("feed_forward", FEED_FORWARD + NORM),
        ("all", ATTENTION + FEED_FORWARD + 2 * NORM),
    ],
)
@pytest.mark.parametrize("block", ["post", "pre"])
def test_shared_layers_save_all_but_one_of_them(make_model: MakeModel, sharing: str, saved: int, block: str) -> None:
    full, shared = make_model({"block": block}), make_model({"block": block, "sharing": sharing})
    assert size(full) - size(shared) == (LAYERS - 1) * saved
    weights = dict(full.named_parameters())
    assert all(torch.equal(value, weights[name]) for name, value in shared.named_parameters())


def test_sharing_reaches_both_halves_of_two_directions(make_model: MakeModel) -> None:
    full, shared = (
        make_model({"visibility": "two_directions", "sharing": sharing}) for sharing in ("none", "feed_forward")
    )
    assert size(full) - size(shared) == (LAYERS - 1) * (size(full.blocks[0]) - 4 * (D * D // 2 + D) - NORM)


def test_pooling_by_hand() -> None:
    x_BLD = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [90.0, 90.0]], [[2.0, 4.0], [8.0, 8.0], [8.0, 8.0]]])
    real_BL = torch.tensor([[True, True, False], [True, False, False]])
    assert cls(x_BLD, real_BL).tolist() == [[1, -5], [2, 4]]
    assert mean(x_BLD, real_BL).tolist() == [[2, -6], [2, 4]]
    assert maximum(x_BLD, real_BL).tolist() == [[3, -5], [2, 4]]
    assert mean(x_BLD[:1, :2], None).tolist() == [[2, -6]]
    assert maximum(x_BLD[:1, :2], None).tolist() == [[3, -5]]


@pytest.mark.parametrize("pool", [mean, maximum])
def test_a_row_of_padding_is_pooled_to_zeros(pool: Callable[..., torch.Tensor]) -> None:
    assert not pool(torch.ones(2, 3, 5), torch.zeros(2, 3, dtype=torch.bool)).any()
