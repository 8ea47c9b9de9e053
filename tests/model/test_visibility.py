"""Which tokens see which, by gradient: the logits of place i against the token embedding that entered at place j.

Expected patterns are exact in both directions: no gradient where an arm must not see, some wherever it must see.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from bertlab.commands.check.model import B_STARTS, EVERYWHERE, MAY_SEE, ONES, gradients, one_row, seen
from bertlab.commands.check.model import PLACES as L
from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.sight import Sight

MakeModel = Callable[..., Bert]
D, INNER, LAYERS = 48, 53, 3
BLOCKED = (2, 5)
OTHERS = ~torch.eye(L, dtype=torch.bool)
UNBLOCKED = torch.tensor([place not in BLOCKED for place in range(L)]).expand(len(BLOCKED), L)
OWN = torch.tensor([[place == own for place in range(L)] for own in BLOCKED])
IN_B = torch.arange(L) >= B_STARTS
APART = (~IN_B[:, None] & ~IN_B) | (IN_B[:, None] & IN_B & ONES.tril())  # A both ways, B left to right
BRIDGED = APART | (IN_B[:, None] & ~IN_B)
BY_LAST = APART | (IN_B[:, None] & (torch.arange(L) == B_STARTS - 1))
CLEAN = {  # at any depth: predicted places, and which tokens reach them
    "all": (EVERYWHERE, ONES),
    "two_directions": (EVERYWHERE, ONES),
    **{visibility: (EVERYWHERE, may_see) for visibility, may_see in MAY_SEE.items()},
    "blocked_position": (BLOCKED, UNBLOCKED),
    "bridge_all": (EVERYWHERE, BRIDGED),
    "bridge_none": (EVERYWHERE, APART),
    "within_segments": (EVERYWHERE, IN_B[:, None] == IN_B),
}
NAIVE = {  # what is visible with one layer, and with more
    "diagonal": (EVERYWHERE, ONES, ONES),
    "diagonal_query": (EVERYWHERE, OTHERS, ONES),
    "blocked": (BLOCKED, UNBLOCKED | OWN, UNBLOCKED | OWN),
}
RELAYED = {"bridge_last": (EVERYWHERE, BY_LAST, BRIDGED)}  # the same: a visible token passes others on
PARTS = [
    {path.parent.name: path.stem}
    for path in sorted((CONF / "model").glob("*/*.yaml"))
    if path.parent.name not in ("visibility", "pooling")
]


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("visibility", CLEAN)
def test_a_clean_arm_sees_what_it_may_and_nothing_else(make_model: MakeModel, visibility: str, layers: int) -> None:
    places, expected = CLEAN[visibility]
    assert torch.equal(seen(make_model({"visibility": visibility}, layers=layers), places), expected)


@pytest.mark.parametrize("visibility", ["diagonal_position", "blocked_position"])
def test_exchanging_a_predicted_token_never_moves_its_own_prediction(make_model: MakeModel, visibility: str) -> None:
    model = make_model({"visibility": visibility})
    with torch.no_grad():
        for place in EVERYWHERE:
            batch = one_row((place,))
            before_1V = model(batch).mlm_MV
            batch.ids_BL[0, place] = 59
            assert torch.equal(model(batch).mlm_MV, before_1V)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("visibility", NAIVE)
def test_a_naive_arm_leaks_from_the_depth_on_that_it_says(make_model: MakeModel, visibility: str, layers: int) -> None:
    places, with_one, with_more = NAIVE[visibility]
    expected = with_one if layers == 1 else with_more
    assert torch.equal(seen(make_model({"visibility": visibility}, layers=layers), places), expected)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("visibility", RELAYED)
def test_more_is_relayed_from_the_second_layer_on(make_model: MakeModel, visibility: str, layers: int) -> None:
    places, with_one, with_more = RELAYED[visibility]
    expected = with_one if layers == 1 else with_more
    assert torch.equal(seen(make_model({"visibility": visibility}, layers=layers), places), expected)


def test_without_a_second_segment_a_bridge_restricts_nothing(make_model: MakeModel) -> None:
    batch = one_row(EVERYWHERE)
    single = replace(batch, segments_BL=torch.zeros_like(batch.segments_BL))
    with torch.no_grad():
        expected = make_model()(single).mlm_MV
        for name in ("bridge_all", "bridge_last", "bridge_none"):
            assert torch.equal(make_model({"visibility": name})(single).mlm_MV, expected)


def test_the_naive_diagonal_leaks_through_the_query_even_without_skip_connections(make_model: MakeModel) -> None:
    model = make_model({"visibility": "diagonal"}, layers=1, skip=False)
    assert seen(model, EVERYWHERE).diagonal().all()


def test_blocking_leaks_through_the_skip_connection_and_the_query_only(make_model: MakeModel) -> None:
    model = make_model({"visibility": "blocked", "attention": "fixed_random"}, layers=3, skip=False)
    assert torch.equal(seen(model, BLOCKED), UNBLOCKED)


def test_a_local_layer_looks_at_near_tokens_alone_and_a_global_one_at_all(make_model: MakeModel) -> None:
    """The state that a layer makes of place i, against the state that entered it at place j."""
    model = make_model({"visibility": "local_global"}, layers=4)
    for block in model.blocks:
        if block.window is not None:
            block.window = 5
    near = (torch.arange(L)[:, None] - torch.arange(L)).abs() <= 2
    for block, expected in zip(model.blocks, (ONES, near, near, ONES), strict=True):
        x_BLD = torch.randn(1, L, D, generator=torch.Generator().manual_seed(1), requires_grad=True)
        made_BLD = block(x_BLD, Sight(model.position)) * torch.arange(D)  # the plain sum of normed states is constant
        rows = [torch.autograd.grad(made_BLD[0, i].sum(), x_BLD, retain_graph=True)[0] for i in range(L)]
        assert torch.equal(torch.stack([row[0].abs().sum(-1) > 0 for row in rows]), expected)


def test_every_visibility_is_tested_here() -> None:
    assert CLEAN.keys() | NAIVE.keys() | RELAYED.keys() | {"local_global"} == {
        path.stem for path in (CONF / "model" / "visibility").glob("*.yaml")
    }


@pytest.mark.parametrize("part", PARTS, ids=lambda part: "=".join(*part.items()))
def test_no_other_part_opens_a_leak(make_model: MakeModel, part: dict[str, str]) -> None:
    for visibility, (places, expected) in CLEAN.items():
        model = attempt(make_model, {"visibility": visibility, **part})
        assert model is None or not (seen(model, places) & ~expected).any(), visibility


def attempt(make_model: MakeModel, parts: dict[str, str]) -> Bert | None:
    try:
        return make_model(parts, layers=2)
    except InputError:
        return None


def test_each_half_of_two_directions_sees_one_side(make_model: MakeModel) -> None:
    model = make_model({"visibility": "two_directions", "position": "alibi"})
    batch = one_row(EVERYWHERE)
    first = gradients(model, batch, lambda model, batch: model.encode(batch)[0, :, : D // 2])
    second = gradients(model, batch, lambda model, batch: model.encode(batch)[0, :, D // 2 :])
    assert torch.equal(first != 0, ONES.tril())
    assert torch.equal(second != 0, ONES.triu())


@pytest.mark.parametrize("sizes", [{}, {"head_width": 12}, {"head_width": 48, "heads": 2}])
def test_two_directions_have_the_matrices_of_one_encoder_and_a_few_biases_more(
    make_model: MakeModel, sizes: dict[str, Any]
) -> None:
    one, two = make_model(**sizes), make_model({"visibility": "two_directions"}, **sizes)
    all_heads = one.shape.heads * one.shape.head_width
    assert size(two, 2) == size(one, 2)
    assert size(two, 1) - size(one, 1) == LAYERS * (INNER + 2 * all_heads)


def size(model: Bert, dimensions: int) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.ndim == dimensions)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"heads": 3},
            r"model\.heads must be even for model/visibility=two_directions, got 3; each direction has half",
        ),
        ({"width": 45, "heads": 6, "head_width": 8}, r"model\.width must be even .* got 45; each direction has half"),
    ],
)
def test_two_directions_need_sizes_that_have_a_half(make_model: MakeModel, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_model({"visibility": "two_directions"}, **sizes)


def test_padding_is_seen_only_without_the_mask(make_model: MakeModel, make_batch: Callable[..., Batch]) -> None:
    with torch.no_grad():
        for padding_mask in (True, False):
            model = make_model(padding_mask=padding_mask)
            outputs = [model(make_batch(filler=filler)).mlm_MV for filler in (0, 7)]
            assert torch.allclose(*outputs, atol=1e-6, rtol=0) == padding_mask
