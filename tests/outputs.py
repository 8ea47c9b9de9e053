"""Output of a model, with logits that a test chooses.

Legend: B batch, V vocabulary, M predicted positions.
"""

import torch
from torch import Tensor

from bertlab.model.bert import Output


class Stated(Output):
    """The states are the logits, including -inf."""

    @property
    def mlm_MV(self) -> Tensor:  # noqa: N802
        return self.state_MD.clone()


def of_logits(mlm_MV: Tensor, pair_B2: Tensor) -> Output:
    """Return an output with these logits, both for reading logits and for scoring states."""
    size = mlm_MV.shape[-1]
    return Stated(mlm_MV, torch.eye(size, dtype=mlm_MV.dtype), mlm_MV.new_zeros(size), pair_B2)
