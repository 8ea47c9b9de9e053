"""Single segments of one document: its text cut every `length - 2` tokens; the last piece may be short.

The "doc sentences" form of Liu et al. 2019 (RoBERTa, arXiv:1907.11692, sec. 4.2), cut at tokens. No pair label.
"""

import numpy as np

from bertlab.config.errors import InputError, own, whole_number
from bertlab.data.pairs.examples import NO_PAIR, Examples
from bertlab.data.store import Tokens


class Single:
    """[CLS] text [SEP]; pieces of fewer than `shortest` tokens are dropped, unless they are full."""

    def __init__(self, *, shortest: int) -> None:
        self.shortest = whole_number("shortest", shortest, 1)

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the pieces of all documents; uses no random numbers."""
        room = length - 2  # [CLS] and [SEP]
        first, last = (tokens.sentences[tokens.documents[part]] for part in (slice(None, -1), slice(1, None)))
        pieces = -(-(last - first) // room)
        document = np.repeat(np.arange(len(pieces)), pieces)
        place = np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        start = first[document] + place * room
        end = np.minimum(start + room, last[document])
        start, end = (side[end - start >= min(self.shortest, room)] for side in (start, end))
        if not len(start):
            raise InputError(
                f"{own('shortest')} must be at most the tokens of the longest document, got {self.shortest}; lower it"
            )
        return Examples(start, end, end, end, np.full(len(start), NO_PAIR))
