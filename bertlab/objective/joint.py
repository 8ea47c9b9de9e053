"""The training loss of BERT: masked tokens and sentence pairs together (Devlin et al. 2018, app. A.2).

Legend: B batch, V vocabulary, M predicted positions.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError, own
from bertlab.data.batches import NO_TARGET, Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.model.bert import Output
from bertlab.objective.cross_entropy import linear_cross_entropy


class Joint:
    """loss = mlm_weight * mlm_loss + pair_weight * pair_loss; each is a mean over its predictions, in nats."""

    @bounded
    def __init__(self, *, mlm_weight: float, pair_weight: float) -> None:
        self.mlm_weight, self.pair_weight = mlm_weight, pair_weight

    def __call__(self, output: Output, batch: Batch, *_: int) -> dict[str, Tensor]:
        """Return `loss` and its terms, the same at every step; a batch without pairs has no `pair_loss`."""
        return weighted(output, batch, self.mlm_weight, self.pair_weight)

    def learns_tokens(self, *_: int) -> bool:
        """Return whether predicted tokens have a weight in the loss."""
        return self.mlm_weight > 0

    def check(self, batch: Batch) -> None:
        """Raise InputError if such batches have nothing to learn."""
        if not self.mlm_weight and not (self.pair_weight and batch.has_pairs):
            raise InputError(
                f"{own('mlm_weight')} must be positive where no pairs are learned, got {self.mlm_weight:g}; "
                f"raise it, or learn pairs with pairs=nsp and {own('pair_weight')}=1"
            )


def weighted(output: Output, batch: Batch, mlm_weight: float, pair_weight: float) -> dict[str, Tensor]:
    """Return `loss`, the weighted sum, and its unweighted terms; a batch without pairs has no `pair_loss`."""
    mlm_loss = linear_cross_entropy(output.state_MD, output.token_VD, output.bias_V, batch.target_M)
    losses = {"mlm_loss": _mean(mlm_loss, batch.target_M)}
    loss = mlm_weight * losses["mlm_loss"]
    if batch.has_pairs:
        losses["pair_loss"] = cross_entropy(output.pair_B2, batch.pair_B, ignore_index=NO_PAIR)
        loss = loss + pair_weight * losses["pair_loss"]
    return {"loss": loss, **losses}


def _mean(total: Tensor, target_M: Tensor) -> Tensor:
    """Mean over predictions; a batch without chosen tokens has loss 0 instead of 0/0."""
    return total / (target_M != NO_TARGET).sum().clamp(min=1)
