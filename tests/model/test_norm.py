"""Norms by hand and against torch; the effect of padding on statistics over a batch."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.norm import batch as batch_norm
from bertlab.model.norm import batch_statistics, layer, none, over_tokens, rms

MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]
B, L, D = 3, 5, 7


def states() -> torch.Tensor:
    return torch.linspace(-3, 5, B * L * D).sin().view(B, L, D) * 4 + 1


@pytest.mark.parametrize(
    ("norm", "parameters"),
    [
        (layer(D, eps=1e-12, affine=True), 2 * D),
        (layer(D, eps=1e-12, affine=False), 0),
        (rms(D, eps=1e-6), D),
        (batch_norm(D, eps=1e-5, momentum=0.1), 2 * D),
        (none(D), 0),
    ],
)
def test_parameters_of_a_norm(norm: torch.nn.Module, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in norm.parameters()) == parameters


def test_rms_divides_by_the_root_mean_square() -> None:
    x_BLD = states()
    expected_BLD = x_BLD / x_BLD.square().mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(rms(D, eps=1e-12)(x_BLD), expected_BLD)


def test_batch_norm_is_torchs_in_training_and_in_evaluation() -> None:
    ours, theirs = batch_norm(D, eps=1e-5, momentum=0.1), torch.nn.BatchNorm1d(D, eps=1e-5, momentum=0.1)
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        torch.testing.assert_close(ours(states()), theirs(states().flatten(0, 1)).view(B, L, D))


def test_padding_leaves_no_trace_in_the_statistics_of_a_batch() -> None:
    real_BL = torch.arange(L) < torch.tensor([5, 3, 1])[:, None]
    ours, theirs = batch_norm(D, eps=1e-5, momentum=0.1), torch.nn.BatchNorm1d(D, eps=1e-5, momentum=0.1)
    torch.testing.assert_close(ours(states(), real_BL)[real_BL], theirs(states()[real_BL]))
    torch.testing.assert_close(ours.eval()(states()), theirs.eval()(states().flatten(0, 1)).view(B, L, D))


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_tokens_are_normalised_by_the_running_statistics(count: int) -> None:
    norm = batch_norm(D, eps=1e-5, momentum=0.1)
    norm(states())
    x_ND = states()[0, :count]
    in_training = norm(x_ND)
    torch.testing.assert_close(in_training, norm.eval()(x_ND))
    assert in_training.isfinite().all()


def test_padding_never_changes_real_outputs_of_a_model_in_training_with_batch_norm(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    outputs = []
    for other in ({}, {"filler": 7, "length": 17}):
        model = make_model({"norm": "batch"}).train()
        with torch.no_grad():
            outputs += [model(make_batch(**other)).mlm_MV, model.eval()(make_batch(**other)).mlm_MV]
    torch.testing.assert_close(outputs[0], outputs[2], atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs[1], outputs[3], atol=1e-5, rtol=0)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-2), "the two modes do differ"


def test_batch_statistics_in_evaluation_are_those_of_training_and_leave_no_trace() -> None:
    norm, twin = (nn.Sequential(batch_norm(D, eps=1e-5, momentum=0.1)) for _ in range(2))
    norm.eval()
    with batch_statistics(norm):
        torch.testing.assert_close(norm(states()), twin.train()(states()))
    torch.testing.assert_close(norm(states()), batch_norm(D, eps=1e-5, momentum=0.1).eval()(states()))


def test_only_batch_norms_take_statistics_over_tokens(make_model: MakeModel) -> None:
    """Three layers of two norms, one at the embedding and one in the MLM head."""
    assert len(over_tokens(make_model({"norm": "batch"}))) == 8
    for norm in ("layer", "layer_plain", "rms", "none"):
        assert not over_tokens(make_model({"norm": norm}))


@pytest.mark.parametrize("momentum", [0, 1, -0.1, "a tenth"])
def test_a_momentum_that_never_or_only_listens_to_the_last_batch_is_refused(momentum: float) -> None:
    with pytest.raises(InputError, match=rf"momentum must lie in \(0, 1\), got {momentum}"):
        batch_norm(D, eps=1e-5, momentum=momentum)
