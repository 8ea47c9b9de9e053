"""Attention within segments: two texts share a sequence and do not see each other."""

from torch import Tensor

from bertlab.data.batches import Batch
from bertlab.model.visibility import Everyone


class WithinSegments(Everyone):
    """A token looks at the tokens of its own segment alone; [CLS] and the first [SEP] are of segment A.

    With pairs=joined attention stays within documents (Krell et al. 2021, arXiv:2107.02027, sec. 3.2.2).
    """

    restricts = True

    def allowed(self, batch: Batch) -> Tensor:
        """Allow equal segments."""
        return (batch.segments_BL[:, :, None] == batch.segments_BL[:, None, :])[:, None]
