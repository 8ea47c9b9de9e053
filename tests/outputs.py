"""What a model says, from logits that a test chooses.

Legend: B batch, V vocabulary, M predicted positions.
"""

import torch
from torch import Tensor

from bertlab.model.bert import Output


class Stated(Output):
    """The states are the logits, -inf among them as well."""

    @property
    def mlm_MV(self) -> Tensor:  # noqa: N802
        return self.state_MD.clone()


def of_logits(mlm_MV: Tensor, pair_B2: Tensor) -> Output:
    """Return an output with these logits, whether they are read or the states are scored."""
    size = mlm_MV.shape[-1]
    return Stated(mlm_MV, torch.eye(size, dtype=mlm_MV.dtype), mlm_MV.new_zeros(size), pair_B2)
