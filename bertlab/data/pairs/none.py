"""Single segments without padding: all documents concatenated and cut every `length - 2` tokens.

The packing of Liu et al. 2019 (RoBERTa, arXiv:1907.11692, sec. 4.2, "full sentences") without their extra separator.
Each epoch starts at another offset, so the cuts differ.
"""

import numpy as np

from bertlab.config.errors import InputError
from bertlab.data.pairs.examples import NO_PAIR, Examples
from bertlab.data.store import Tokens


class Packed:
    """[CLS] text [SEP], always full; no pair label."""

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the blocks of one epoch."""
        room = length - 2  # [CLS] and [SEP]
        if len(tokens.ids) < 2 * room:
            raise InputError(
                f"batch.length {length} needs at least {2 * room} tokens of text, got {len(tokens.ids)}; "
                "add text or choose a smaller batch.length"
            )
        start = np.arange(rng.integers(room), len(tokens.ids) - room + 1, room)
        end = start + room
        return Examples(start, end, end, end, np.full(len(start), NO_PAIR))
