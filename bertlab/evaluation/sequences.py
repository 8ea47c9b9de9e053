"""Held-out sequences with hidden tokens, and how an arm reads them: every arm predicts the same tokens.

An arm that *fills gaps* gets the text with replaced hidden tokens, and predicts each at its own position from what it
may attend to. An arm that *predicts ahead*, left to right, gets the original text, and predicts the token in column p
at column p - ahead: the same tokens, given all tokens before them, hidden or not, and none after them. An arm without
[CLS] gets the same text without it, and one more [PAD].

Legend: N sequences, B of them in a chunk, L length, M hidden positions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch, corrupted, without_cls
from bertlab.data.pairs import NO_PAIR
from bertlab.data.store import Ints
from bertlab.data.tokenizer import MASK
from bertlab.mask import Masked
from bertlab.mask.corrupt import Bools
from bertlab.streams import Streams

STREAMS = Streams(20181011)  # the day BERT was published; the evaluation never depends on a run's seed
CHUNK = 64  # sequences scored at once
NOWHERE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Reading:
    """How an arm reads held-out text."""

    cls: bool = True  # whether its sequences start with [CLS]
    ahead: int = 0  # distance from the predicting position to the predicted token; 0: its own position (a gap)

    def __post_init__(self) -> None:
        assert 0 <= self.ahead <= 1, "only [CLS] is before the first token"
        if self.ahead and not self.cls:
            raise InputError(
                "batch.cls must be true where the next token is predicted (mask=next_token), got false: nothing would "
                "be before the first token to predict it; choose batch.cls=true or another mask"
            )


BERT = Reading()


@dataclass(frozen=True)
class Sequences:
    """Assembled held-out sequences, with [CLS]; `label_N` is all NO_PAIR for single segments."""

    ids_NL: Ints
    segments_NL: Ints
    label_N: Ints

    def batches(self, hidden_M: Ints, given_M: Ints | None = None, reading: Reading = BERT) -> Iterator[Batch]:
        """Yield the sequences in chunks, with the tokens at the flat positions `hidden_M` to predict.

        `given_M`: the input at these positions for an arm that fills gaps; None: [MASK].
        """
        given_M = np.full(len(hidden_M), MASK) if given_M is None else given_M
        length = self.ids_NL.shape[1]
        for start in range(0, len(self.ids_NL), CHUNK):
            chunk = slice(start, start + CHUNK)
            ids_BL = self.ids_NL[chunk]
            first, last = np.searchsorted(hidden_M, [start * length, start * length + ids_BL.size])
            position_M = hidden_M[first:last] - start * length
            given_BL = ids_BL.copy()
            if not reading.ahead:
                given_BL.reshape(-1)[position_M] = given_M[first:last]
            masked = Masked(given_BL, position_M - reading.ahead, ids_BL.reshape(-1)[position_M])
            batch = corrupted(ids_BL, self.segments_NL[chunk], self.label_N[chunk], masked)
            yield batch if reading.cls else without_cls(batch)

    def every(self, number: int) -> "Sequences":
        """Return every `number`-th sequence, starting with the first."""
        return Sequences(self.ids_NL[::number], self.segments_NL[::number], self.label_N[::number])

    def first_half(self, hidden_M: Ints) -> tuple["Sequences", Bools, Ints]:
        """Return the first half of each sequence, the indices of hidden tokens in it, and their positions."""
        half = self.ids_NL.shape[1] // 2
        row_M, column_M = np.divmod(hidden_M, self.ids_NL.shape[1])
        kept_M = column_M < half
        first = Sequences(self.ids_NL[:, :half], self.segments_NL[:, :half], self.label_N)
        return first, kept_M, (row_M * half + column_M)[kept_M]

    def one_at_a_time(self, hidden_M: Ints) -> tuple["Sequences", Ints]:
        """Return one copy of the sequence for each hidden token, and the flat position of that token in the copies."""
        row_M, column_M = np.divmod(hidden_M, self.ids_NL.shape[1])
        copies = Sequences(self.ids_NL[row_M], self.segments_NL[row_M], np.full(len(row_M), NO_PAIR))
        return copies, np.arange(len(row_M)) * self.ids_NL.shape[1] + column_M
