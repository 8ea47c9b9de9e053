"""Replaced-token detection: the loss of a model with a generator (Clark et al. 2020, arXiv:2003.10555, sec. 2).

Legend: B batch, L length.
"""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from bertlab.config.bounds import bounded
from bertlab.data.batches import NO_TARGET, Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.model.replaced import Detected


class Replaced:
    """loss = the generator's mlm_loss + detection_weight * detection_loss + pair_weight * pair_loss, means in nats.

    The generator is not trained to mislead the model: its samples pass no gradient.
    """

    @bounded
    def __init__(self, *, detection_weight: float, pair_weight: float) -> None:
        self.detection_weight, self.pair_weight = detection_weight, pair_weight

    def __call__(self, output: Detected, batch: Batch, *_: int) -> dict[str, Tensor]:
        """Return `loss` and its terms, the same at every step; a batch without pairs has no `pair_loss`."""
        named = cross_entropy(output.generator_MV, batch.target_M, ignore_index=NO_TARGET, reduction="sum")
        losses = {
            "mlm_loss": named / (batch.target_M != NO_TARGET).sum().clamp(min=1),
            "detection_loss": detection_nats(output).sum() / output.judged_BL.sum().clamp(min=1),
        }
        loss = losses["mlm_loss"] + self.detection_weight * losses["detection_loss"]
        if batch.has_pairs:
            losses["pair_loss"] = cross_entropy(output.pair_B2, batch.pair_B, ignore_index=NO_PAIR)
            loss = loss + self.pair_weight * losses["pair_loss"]
        return {"loss": loss, **losses}

    def check(self, batch: Batch) -> None:
        """Accept every batch: invalid combinations are refused earlier (`evaluation/detection_needs.py`)."""


def detection_nats(output: Detected) -> Tensor:
    """Return the cross-entropy of each token, replaced or not (B, L), in nats; 0 for tokens that are not judged."""
    target_BL = output.replaced_BL.to(output.detected_BL.dtype)
    nats_BL = binary_cross_entropy_with_logits(output.detected_BL, target_BL, reduction="none")
    return nats_BL * output.judged_BL
