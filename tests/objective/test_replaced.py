"""The loss of replaced-token detection, on logits small enough to do by hand."""

from math import log

import pytest
import torch
from torch import Tensor

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.replaced import Detected
from bertlab.objective.replaced import Replaced

GENERATOR_MV = torch.tensor([[1.0, 3.0], [3.0, 1.0]]).log()  # of the targets 3/4 and 3/4
DETECTED_BL = torch.tensor([[log(3), log(3), 0.0], [-log(4), 9.0, 9.0]])  # probabilities 3/4, 3/4, 1/2; 1/5, any, any
REPLACED_BL = torch.tensor([[True, False, True], [False, True, False]])
JUDGED_BL = torch.tensor([[True, True, True], [True, False, False]])
DETECTION = -(log(0.75) + log(0.25) + log(0.5) + log(0.8)) / 4


def losses(weight: float = 50.0, judged_BL: Tensor = JUDGED_BL, has_pairs: bool = False) -> dict[str, float]:
    empty, ids_BL = torch.empty(0), torch.zeros(2, 3, dtype=torch.int64)
    pair_B2 = torch.tensor([[1.0, 1.0], [1.0, 3.0]]).log()
    output = Detected(empty, empty, empty, pair_B2, GENERATOR_MV, empty, DETECTED_BL, REPLACED_BL, judged_BL)
    labels_B = torch.tensor([0, 1]) if has_pairs else torch.full((2,), -100)
    batch = Batch(ids_BL, ids_BL, None, torch.tensor([0, 1]), torch.tensor([1, 0]), labels_B, has_pairs)
    found = Replaced(detection_weight=weight, pair_weight=2.0)(output, batch)
    return {name: loss.item() for name, loss in found.items()}


def test_the_loss_is_the_generators_and_fifty_times_that_of_detection() -> None:
    wanted = {"loss": -log(0.75) + 50 * DETECTION, "mlm_loss": -log(0.75), "detection_loss": DETECTION}
    assert losses() == pytest.approx(wanted)


def test_weights_scale_the_sum_and_not_the_terms() -> None:
    pair = -(log(0.5) + log(0.75)) / 2
    found = losses(3.0, has_pairs=True)
    assert found == pytest.approx(
        {
            "loss": -log(0.75) + 3 * DETECTION + 2 * pair,
            "mlm_loss": -log(0.75),
            "detection_loss": DETECTION,
            "pair_loss": pair,
        }
    )


def test_a_batch_without_tokens_has_detection_loss_0() -> None:
    assert losses(judged_BL=torch.zeros(2, 3, dtype=torch.bool))["detection_loss"] == 0


def test_a_weight_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match=r"detection_weight must lie in \(0, 1e\+06\), got 0"):
        Replaced(detection_weight=0.0, pair_weight=1.0)
