from collections.abc import Callable

import numpy as np
import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.model.bert import Bert
from bertlab.model.init import start_at_unigram

MakeModel = Callable[..., Bert]
STD = 0.02  # that of `make_model`


def test_models_of_different_depth_share_values_by_name(make_model: MakeModel) -> None:
    shallow, deep = (dict(make_model(layers=layers).named_parameters()) for layers in (2, 4))
    assert len(shallow) < len(deep)
    assert all(torch.equal(value, deep[name]) for name, value in shallow.items())


def test_models_with_other_positions_share_all_else(make_model: MakeModel) -> None:
    learned, rotary = (dict(make_model({"position": name}).named_parameters()) for name in ("learned", "rotary"))
    assert learned.keys() - rotary.keys() == {"position.table.weight"}
    assert all(torch.equal(value, learned[name]) for name, value in rotary.items())


def test_another_seed_draws_other_weights_and_no_two_matrices_are_alike(make_model: MakeModel) -> None:
    models = [make_model(seed=seed) for seed in (3, 4)]
    drawn = [value.flatten()[:4] for model in models for value in model.parameters() if value.ndim >= 2]
    assert len({tuple(values.tolist()) for values in drawn}) == len(drawn)


def test_matrices_are_normal_with_std_002_truncated_at_two_of_them(make_model: MakeModel) -> None:
    """A standard normal truncated at 2 has the standard deviation 0.8796, and 95 % of it within 1.806."""
    model = make_model(width=840, inner=997, layers=1)
    weight = model.get_parameter("blocks.0.feed_forward.expand.weight").detach()
    assert weight.numel() > 800_000
    assert 1.999 * STD < weight.abs().max() <= 2 * STD
    assert abs(weight.mean()) < 1e-4
    assert weight.std().item() == pytest.approx(0.8796 * 0.02, rel=3e-3)
    assert (weight.abs() < 1.0 * 0.02).float().mean().item() == pytest.approx(0.6827 / 0.9545, abs=3e-3)


def test_biases_are_0_and_scales_of_norms_1(make_model: MakeModel) -> None:
    vectors = {name: value for name, value in make_model().named_parameters() if value.ndim < 2}
    ones = {name for name, value in vectors.items() if (value == 1).all()}
    zeros = {name for name, value in vectors.items() if (value == 0).all()}
    assert ones == {name for name in vectors if name.endswith("norm.weight")}
    assert zeros == {name for name in vectors if name.endswith("bias")}
    assert ones | zeros == vectors.keys()
    assert len(ones) == 1 + 3 * 2 + 1


def test_embeddings_and_matrices_have_their_own_deviation(make_model: MakeModel) -> None:
    published, other = (dict(make_model(dense_std=std).named_parameters()) for std in (STD, 4 * STD))
    for name, value in published.items():
        scale = 4 if value.ndim >= 2 and not name.startswith(("embedding.", "position.")) else 1
        torch.testing.assert_close(other[name], scale * value)


def test_a_gain_gives_each_matrix_the_deviation_of_its_fan_in(make_model: MakeModel) -> None:
    """Parts of base at width 48 and inner 53: a matrix (out, in) is the published one times gain / sqrt(in) / std."""
    published, other = (dict(make_model(dense_gain=gain).named_parameters()) for gain in (None, 0.5))
    matrices = [name for name, value in published.items() if value.ndim >= 2]
    for name in matrices:
        fan_in = published[name].shape[1]
        scale = 1 if name.startswith(("embedding.", "position.")) else 0.5 / fan_in**0.5 / STD
        torch.testing.assert_close(other[name], scale * published[name])
    assert {published[name].shape[1] for name in matrices} == {48, 53}


def test_a_state_of_variance_1_leaves_every_matrix_with_the_square_of_the_gain(make_model: MakeModel) -> None:
    """A normal distribution truncated at two standard deviations has .8796 of its standard deviation."""
    model = make_model(dense_gain=0.48, width=768, inner=3072, layers=1)
    x_ND = torch.randn(400, 768, generator=torch.Generator().manual_seed(1))
    inner_NI = torch.randn(400, 3072, generator=torch.Generator().manual_seed(2))
    feed_forward = model.get_submodule("blocks.0.feed_forward")
    for module, states in ((feed_forward.expand, x_ND), (feed_forward.contract, inner_NI)):
        assert module(states).std().item() == pytest.approx(0.8796 * 0.48, rel=0.02)


@pytest.mark.parametrize("length", [7, 19])
def test_the_deviation_of_a_fixed_random_mix_does_not_depend_on_the_gain(make_model: MakeModel, length: int) -> None:
    parts = {"attention": "fixed_random"}
    usual, other = (make_model(parts, dense_gain=gain).blocks[0].attention for gain in (None, 3.0))
    torch.testing.assert_close(
        usual.gain * usual.mixing[:, :length, :length], other.gain * other.mixing[:, :length, :length]
    )


@pytest.mark.parametrize("gain", [0, -1, 100, "wide", True])
def test_an_impossible_gain_is_refused(make_model: MakeModel, gain: object) -> None:
    with pytest.raises(InputError, match=r"^dense_gain must lie in \(0, 100\), got "):
        make_model(dense_gain=gain)


def test_an_output_bias_of_frequencies_predicts_them_before_any_training(make_model: MakeModel) -> None:
    """If states are 0, the prediction is the unigram distribution, with a count of at most 1 for special tokens."""
    counts_V = np.arange(61.0)
    counts_V[:5] = np.nan
    unigram_V = np.log(counts_V / np.nansum(counts_V))
    for asked in (True, False):
        model = make_model(unigram_bias=asked)
        start_at_unigram(model, unigram_V)
        predicted_V = model.mlm_head.bias.softmax(0)
        expected_V = torch.from_numpy(counts_V).nan_to_num(5.0) if asked else torch.ones(61)
        torch.testing.assert_close(predicted_V, (expected_V / expected_V.sum()).float())
