"""Positions give a model the order of tokens; values by hand and the properties of each variant."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import layer_norm

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.position import Learned, Position, Rotary, Sinusoidal, SinusoidalStart
from bertlab.model.shape import Shape

MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]
L, K = 11, 6


def shape(length: int = L, width: int = 42, heads: int = 7) -> Shape:
    return Shape(61, length, 3, width, heads, 53, 0.0, 2, 0.02, 0.02)


def rotary(base: float = 100) -> Rotary:
    return Rotary(shape(), base=base)


def random(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_position_of_no_kind_changes_nothing() -> None:
    x_BHLK = random(2, 7, L, K)
    assert Position().vectors(L) is None
    assert Position().bias(L) is None
    assert Position().rotate(x_BHLK) is x_BHLK


def test_learned_positions_are_the_rows_of_their_table() -> None:
    learned = Learned(shape(), positions=19)
    with torch.no_grad():
        learned.table.weight.copy_(torch.arange(19)[:, None].expand(19, 42))
    assert torch.equal(learned.vectors(5)[:, 0], torch.arange(5.0))


def test_a_sequence_longer_than_the_learned_table_is_refused() -> None:
    Learned(shape(length=19), positions=19)
    with pytest.raises(InputError, match=r"batch\.length must be at most positions 19, got 20; raise"):
        Learned(shape(length=20), positions=19)


def test_a_table_may_start_from_sinusoids_and_is_learned_from_there_on(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    """An initialised model has the states of fixed sinusoids; one step changes the table."""
    fixed, learned = (make_model({"position": name}) for name in ("sinusoidal", "sinusoidal_start"))
    batch = make_batch()
    torch.testing.assert_close(learned.encode(batch), fixed.encode(batch))
    assert learned.position.table.weight.shape == (512, 48)
    learned(batch).mlm_MV.sum().backward()
    gradient = learned.get_parameter("position.table.weight").grad
    assert gradient is not None
    assert gradient[: batch.ids_BL.shape[1]].any(dim=1).all()
    assert not gradient[batch.ids_BL.shape[1] :].any()
    with pytest.raises(InputError, match=r"base must lie in \(1, 1e\+09\), got 1"):
        SinusoidalStart(shape(), positions=19, base=1)


def test_fixed_sinusoids_are_those_of_the_transformer() -> None:
    """Vaswani et al. multiply embeddings by sqrt(D): after the norm that is the same."""
    fixed, tokens_LD = Sinusoidal(shape(), base=10_000, learn_scale=False), random(L, 42)
    angle_LK = torch.arange(L)[:, None] / 10_000 ** (torch.arange(0, 42, 2) / 42)
    theirs_LD = torch.cat((angle_LK.sin(), angle_LK.cos()), dim=1)
    ours, other = (layer_norm(x, (42,), eps=0) for x in (tokens_LD + fixed.vectors(L), 42**0.5 * tokens_LD + theirs_LD))
    assert torch.allclose(ours, other, atol=1e-6)
    assert not list(fixed.parameters())
    assert not fixed.state_dict()


def test_the_scale_of_sinusoids_can_be_learned_from_the_same_start() -> None:
    learned = Sinusoidal(shape(), base=10_000, learn_scale=True)
    assert [name for name, _ in learned.named_parameters()] == ["scale"]
    assert torch.equal(learned.vectors(L), Sinusoidal(shape(), base=10_000, learn_scale=False).vectors(L))


def test_the_scale_of_sinusoids_is_learned_or_not() -> None:
    with pytest.raises(InputError, match=r"learn_scale must be true or false, got 1; choose one"):
        Sinusoidal(shape(), base=10_000, learn_scale=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("positions", [0, 1.5, True])
def test_learned_positions_are_a_whole_number(positions: int) -> None:
    with pytest.raises(InputError, match=rf"positions .* got {positions}"):
        Learned(shape(), positions=positions)


def test_rotation_by_hand() -> None:
    """K = 6 and base 1000: the pairs (0, 3), (1, 4), (2, 5) turn by l, l / 10 and l / 100."""
    x_BHLK = torch.zeros(1, 1, 3, K)
    x_BHLK[..., 0], x_BHLK[..., 5] = 1.0, 2.0
    turned_K = rotary(1000).rotate(x_BHLK)[0, 0, 2]
    expected_K = [math.cos(2), 0, -2 * math.sin(0.02), math.sin(2), 0, 2 * math.cos(0.02)]
    torch.testing.assert_close(turned_K, torch.tensor(expected_K))


def test_rotation_at_position_0_is_the_identity() -> None:
    x_BHLK = random(2, 7, L, K)
    assert torch.equal(rotary().rotate(x_BHLK)[:, :, 0], x_BHLK[:, :, 0])


def test_rotation_keeps_the_norm() -> None:
    x_BHLK = random(2, 7, L, K)
    torch.testing.assert_close(rotary().rotate(x_BHLK).norm(dim=-1), x_BHLK.norm(dim=-1), rtol=1e-6, atol=0)


def test_rotated_scores_depend_on_distance_only() -> None:
    query_K, key_K = random(2, K)
    turn = rotary().rotate
    everywhere = torch.ones(1, 1, L, 1, dtype=torch.float64)
    score_LL = (turn(query_K * everywhere) @ turn(key_K * everywhere).mT)[0, 0]
    for distance in range(1 - L, L):
        diagonal = score_LL.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[0].expand_as(diagonal), atol=1e-5, rtol=0)
    assert len(set(score_LL[0].tolist())) == L


def test_rotation_of_a_short_sequence_is_the_front_of_a_long_one() -> None:
    x_BHLK = random(2, 7, L, K)
    torch.testing.assert_close(rotary().rotate(x_BHLK[:, :, :4]), rotary().rotate(x_BHLK)[:, :, :4])


def test_rotation_of_some_tokens_is_that_of_their_places() -> None:
    x_BHLK, column_BR = random(2, 7, L, K), torch.tensor([[3, 0], [1, 1]])
    turned_BHLK = rotary().rotate(x_BHLK)
    for row, columns in enumerate(column_BR.tolist()):
        some_BHRK = rotary().rotate(x_BHLK[:, :, columns], column_BR)
        torch.testing.assert_close(some_BHRK[row], turned_BHLK[row][:, columns])


def test_rotary_has_nothing_to_learn_and_nothing_to_store() -> None:
    assert list(rotary().parameters()) == []
    assert rotary().state_dict() == {}


@pytest.mark.parametrize("base", [1, 0, -3, float("nan"), "100"])
def test_a_rotary_base_that_makes_no_angles_is_refused(base: float) -> None:
    with pytest.raises(InputError, match=r"base must lie in \(1, 1e\+09\)"):
        rotary(base)


def test_rotary_needs_an_even_head_width() -> None:
    with pytest.raises(
        InputError, match=r"even width of a head, got 7; change model\.width, model\.heads or model\.head_width"
    ):
        Rotary(shape(width=21, heads=3), base=100)


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "alibi"])
def test_the_order_of_tokens_matters(make_model: MakeModel, make_batch: MakeBatch, position: str) -> None:
    model = make_model({"position": position})
    assert move_of_cls(model, make_batch()) > 1e-6


def test_without_positions_tokens_are_a_bag(make_model: MakeModel, make_batch: MakeBatch) -> None:
    assert move_of_cls(make_model({"position": "none"}), make_batch()) < 1e-6


def move_of_cls(model: Bert, batch: Batch) -> float:
    """Return the change of the state of [CLS] when two tokens of one segment are swapped."""
    swapped = batch.ids_BL[:, [0, 3, 2, 1, *range(4, 13)]]
    straight, other = batch.ids_BL[:1], swapped[:1]
    assert not torch.equal(straight, other)
    with torch.no_grad():
        states = [
            model.encode(replace(batch, ids_BL=ids_BL, segments_BL=batch.segments_BL[:1], real_BL=None))
            for ids_BL in (straight, other)
        ]
    return float((states[0] - states[1])[0, 0].abs().max())
