"""Next tokens first, then masked ones (Gisserot-Boukhlef et al. 2025, arXiv:2507.00994)."""

from dataclasses import replace

from bertlab.config.errors import at, open_interval
from bertlab.data.masking import Masked, Moment
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Ints
from bertlab.mask.next_token import NextToken
from bertlab.mask.rated import rated


class NextTokenFirst:
    """Predict next tokens, left to right, for the first `share` of the run; then choose tokens like `policy`.

    Batches of the first part forbid attention ahead for every visibility of the model. Runs are always evaluated as
    masked language models: before the change the common evaluation measures an untrained task.
    """

    starts_ahead = NextToken.ahead

    def __init__(self, *, policy: object, share: float) -> None:
        self.policy = rated("policy", policy)
        self.share = open_interval("share", share, 0, 1)
        self._first = NextToken()

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Moment) -> Masked:
        """Return the corrupted copy."""
        if draw.progress < self.share:
            return replace(self._first(ids_BL, vocabulary, draw), one_way=True)
        with at("policy"):
            return self.policy(ids_BL, vocabulary, draw)
