from collections.abc import Callable

import pytest
import torch

from bertlab.model.bert import Bert

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
