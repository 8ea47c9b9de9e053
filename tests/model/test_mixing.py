"""Replacements of attention: mixing by position, by the Fourier transform, and none."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.mixing import Fourier
from bertlab.model.position import Position
from bertlab.model.score import softmax
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight

MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]
L, D, LONGEST = 11, 6, 19


def test_fourier_mixing_is_the_real_part_of_the_transform_over_positions_and_width() -> None:
    fourier = Fourier(Shape(61, L, 1, D, 2, 7, 0.0, 2, 0.02, 0.02), softmax)
    x_BLD = torch.linspace(-2, 3, 2 * L * D).cos().view(2, L, D)
    torch.testing.assert_close(fourier(x_BLD, Sight(Position())), torch.fft.fft2(x_BLD).real, atol=1e-5, rtol=0)
    real_BL = torch.arange(L) < torch.tensor([[L], [4]])
    zeroed_BLD = x_BLD * real_BL[..., None]
    torch.testing.assert_close(
        fourier(x_BLD, Sight(Position(), real_BL)), torch.fft.fft2(zeroed_BLD).real, atol=1e-5, rtol=0
    )


def test_weights_of_fixed_random_mixing_sum_to_1_differ_and_stay(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model({"attention": "fixed_random"}), make_batch()
    mixing = model.blocks[0].attention.mixing
    weight_HLL = model.blocks[0].attention.weights(mixing, None)
    torch.testing.assert_close(weight_HLL.sum(-1), torch.ones(6, LONGEST))
    assert weight_HLL.max() > 3 * weight_HLL.mean(), "far from the plain mean"
    before = mixing.clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    model(batch).mlm_MV.square().sum().backward()
    optimizer.step()
    assert torch.equal(mixing, before)


def test_a_dense_layer_over_positions_adds_up_values_by_its_matrix(make_model: MakeModel) -> None:
    mixer = make_model({"attention": "fully_connected"}).blocks[0].attention
    x_BLD = torch.linspace(-2, 3, 2 * L * 48).cos().view(2, L, 48)
    with torch.no_grad():
        value_BLD = mixer.value(x_BLD)
        heads = [mixer.mixing[head, :L, :L] @ value_BLD[..., 8 * head : 8 * head + 8] for head in range(6)]
        torch.testing.assert_close(mixer(x_BLD, Sight(Position())), mixer.output(torch.cat(heads, dim=-1)))


@pytest.mark.parametrize("attention", ["fully_connected", "fixed_random", "fourier"])
def test_sequences_longer_than_the_mixing_are_refused(
    make_model: MakeModel, make_batch: MakeBatch, attention: str
) -> None:
    model = make_model({"attention": attention, "position": "none"})
    with pytest.raises(InputError, match=r"batch\.length must be at least the 20 tokens .* got 19; raise it before"):
        model(make_batch(length=LONGEST + 1))


def test_without_attention_every_token_is_on_its_own(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model({"attention": "none"}), make_batch()
    other = replace(batch, ids_BL=batch.ids_BL.clone())
    other.ids_BL[0, 3] = batch.ids_BL[0, 3] % 50 + 6
    with torch.no_grad():
        moved_BL = (model.encode(other) - model.encode(batch)).abs().amax(-1) > 0
    assert moved_BL.nonzero().tolist() == [[0, 3]]
