"""The joint loss, on logits small enough to do by hand."""

from math import log

import pytest
import torch
from torch import Tensor

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.objective import Joint
from tests.outputs import of_logits

# softmax of log-weights: token probabilities 1/10, 2/10, 3/10, 4/10, and pair probabilities 1/4, 3/4
MLM_MV = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]).log()
PAIR_B2 = torch.tensor([[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]]).log()
TARGET_M = torch.tensor([3, 2])  # probabilities 0.4 and 0.2
PAIR_B = torch.tensor([1, 1, 0])  # probabilities 3/4, 1/4 and 1/2
MLM_LOSS = -(log(0.4) + log(0.2)) / 2
PAIR_LOSS = -(log(0.75) + log(0.25) + log(0.5)) / 3


def batch(target_M: Tensor = TARGET_M, pair_B: Tensor = PAIR_B, has_pairs: bool = True) -> Batch:
    ids_BL = torch.zeros(3, 7, dtype=torch.int64)
    return Batch(ids_BL, ids_BL, None, torch.arange(len(target_M)), target_M, pair_B, has_pairs)


def values(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


def test_losses_are_means_in_nats() -> None:
    losses = values(Joint(mlm_weight=1, pair_weight=1)(of_logits(MLM_MV, PAIR_B2), batch()))
    assert losses == pytest.approx({"loss": MLM_LOSS + PAIR_LOSS, "mlm_loss": MLM_LOSS, "pair_loss": PAIR_LOSS})


@pytest.mark.parametrize(("mlm_weight", "pair_weight"), [(2, 0.5), (0, 3), (3, 0), (0, 0)])
def test_weights_scale_the_sum_and_not_the_terms(mlm_weight: float, pair_weight: float) -> None:
    losses = values(Joint(mlm_weight=mlm_weight, pair_weight=pair_weight)(of_logits(MLM_MV, PAIR_B2), batch()))
    assert losses == pytest.approx(
        {"loss": mlm_weight * MLM_LOSS + pair_weight * PAIR_LOSS, "mlm_loss": MLM_LOSS, "pair_loss": PAIR_LOSS}
    )


def test_without_pairs_there_is_no_pair_loss() -> None:
    single = batch(pair_B=torch.full((3,), -100), has_pairs=False)
    losses = values(Joint(mlm_weight=2, pair_weight=1)(of_logits(MLM_MV, PAIR_B2), single))
    assert losses == pytest.approx({"loss": 2 * MLM_LOSS, "mlm_loss": MLM_LOSS})


def test_rows_without_a_pair_label_are_left_out_of_the_mean() -> None:
    mixed = batch(pair_B=torch.tensor([1, -100, 0]))
    losses = values(Joint(mlm_weight=1, pair_weight=1)(of_logits(MLM_MV, PAIR_B2), mixed))
    assert losses["pair_loss"] == pytest.approx(-(log(0.75) + log(0.5)) / 2)


def test_a_batch_without_predictions_has_loss_0_and_finite_gradients() -> None:
    mlm_MV = torch.empty(0, 4, requires_grad=True)
    losses = Joint(mlm_weight=1, pair_weight=1)(
        of_logits(mlm_MV, PAIR_B2), batch(target_M=torch.empty(0, dtype=torch.int64))
    )
    assert values(losses) == pytest.approx({"loss": PAIR_LOSS, "mlm_loss": 0.0, "pair_loss": PAIR_LOSS})
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    assert mlm_MV.grad is not None
    assert mlm_MV.grad.shape == (0, 4)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "1", None, True])
@pytest.mark.parametrize("key", ["mlm_weight", "pair_weight"])
def test_weights_are_finite_and_not_negative(key: str, weight: float) -> None:
    weights: dict[str, float] = {"mlm_weight": 1.0, "pair_weight": 1.0, key: weight}
    with pytest.raises(InputError, match=rf"{key} must lie in \[0, 1e\+06\], got {weight}"):
        Joint(**weights)
