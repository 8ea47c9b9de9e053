"""A rate that changes during the run, for example from 30 % to 15 % (Ankner et al. 2023, arXiv:2305.15096)."""

from bertlab.config.errors import at, open_interval
from bertlab.data.masking import Masked, Moment
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Ints, corrupt
from bertlab.mask.rated import rated


class Scheduled:
    """Choose like `policy`, at a rate that changes linearly from the policy's own at the first step to `end_rate`."""

    def __init__(self, *, policy: object, end_rate: float) -> None:
        self.policy = rated("policy", policy)
        self.end_rate = open_interval("end_rate", end_rate, 0, 1)

    def __call__(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Moment) -> Masked:
        """Return the corrupted copy."""
        rate = (1 - draw.progress) * self.policy.rate + draw.progress * self.end_rate
        with at("policy"):
            chosen_BL = self.policy.level(ids_BL, vocabulary, draw) < rate
        return corrupt(ids_BL, chosen_BL, self.policy.split, vocabulary, draw)
