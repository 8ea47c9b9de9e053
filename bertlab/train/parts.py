"""Parts of a batch: the rows that one device, or one of several passes on a device, computes.

Every process draws the whole batch, so that draws equal those on one device, and then selects rows. The mean over parts
with unequal numbers of predictions is not the mean over the batch: each part is weighted by its share of them.

Legend: B sequences, L length, M predicted positions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bertlab.config.errors import InputError
from bertlab.data.batches import NO_TARGET, Batch
from bertlab.data.pairs import FOLLOWS, NO_PAIR

LOSS = "loss"  # name of the minimised sum; its terms have other names


@dataclass(frozen=True)
class Part:
    """Some rows of a batch, and their share of the batch's predictions for each term of the loss."""

    batch: Batch
    share: Mapping[str, Tensor]


def part_of(batch: Batch, number: int, parts: int) -> Part:
    """Return part `number` (from 0) of a batch in `parts`; their numbers of rows differ by at most one.

    If a batch has labelled pairs and a part has none, the part gets one with share 0: every part then computes the same
    terms.
    """
    size, length = batch.ids_BL.shape
    rows = slice(size * number // parts, size * (number + 1) // parts)
    own_M = (batch.position_M >= rows.start * length) & (batch.position_M < rows.stop * length)
    target_M, pair_B = batch.target_M[own_M], batch.pair_B[rows]
    share = {
        "mlm_loss": (target_M != NO_TARGET).sum() / (batch.target_M != NO_TARGET).sum().clamp(min=1),
        "pair_loss": (pair_B != NO_PAIR).sum() / (batch.pair_B != NO_PAIR).sum().clamp(min=1),
    }
    own = replace(
        batch,
        ids_BL=batch.ids_BL[rows],
        segments_BL=batch.segments_BL[rows],
        real_BL=None if batch.real_BL is None else batch.real_BL[rows],
        position_M=batch.position_M[own_M] - rows.start * length,
        target_M=target_M,
        pair_B=torch.where(share["pair_loss"] > 0, pair_B, FOLLOWS) if batch.has_pairs else pair_B,
    )
    return Part(own, share)


def contribution(losses: Mapping[str, Tensor], share: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a part's contribution to the losses of its batch: terms times shares, and `loss`, their weighted sum.

    The weight of a term is the derivative of the loss by it. Raises InputError if a term has no share.
    """
    terms = {name: term for name, term in losses.items() if name != LOSS}
    if unknown := sorted(terms.keys() - share.keys()):
        raise InputError(
            f"objective must have no other terms than {' and '.join(share)} where a batch is cut into parts, got "
            f"{unknown[0]}; leave out trainer.devices and trainer.accumulate"
        )
    weights = torch.autograd.grad(losses[LOSS], list(terms.values()), retain_graph=True, materialize_grads=True)
    own = {name: share[name] * term for name, term in terms.items()}
    weighted = [weight * term for weight, term in zip(weights, own.values(), strict=True)]
    return {LOSS: torch.stack(weighted).sum(), **own}
