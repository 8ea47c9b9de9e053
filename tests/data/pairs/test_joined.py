"""Pieces of two documents in one sequence: no piece is lost, none is cut, and less room is left empty."""

import numpy as np

from bertlab.data.pairs.joined import Joined, partners
from bertlab.data.pairs.single import Single
from bertlab.data.store import TokenStore

NOTHING = np.random.default_rng(0)


def test_the_longest_piece_is_joined_with_the_longest_that_fits() -> None:
    first, second = partners(np.array([5, 2, 9, 4, 4, 1, 10]), room=9)
    assert dict(zip(first.tolist(), second.tolist(), strict=True)) == {0: 3, 2: -1, 4: 1, 5: -1, 6: -1}


def test_every_piece_is_in_one_sequence_and_fewer_positions_are_padding(store: TokenStore) -> None:
    tokens, length = store.splits["train"], 64
    alone, joined = (made(shortest=4)(tokens, length, NOTHING) for made in (Single, Joined))
    has = joined.b_end > joined.b_start
    starts = np.sort(np.concatenate((joined.a_start, joined.b_start[has])))
    ends = np.sort(np.concatenate((joined.a_end, joined.b_end[has])))
    assert np.array_equal(starts, np.sort(alone.a_start))
    assert np.array_equal(ends, np.sort(alone.a_end))
    assert has.any()
    assert len(joined) < len(alone)
    document = np.searchsorted(tokens.sentences[tokens.documents], joined.a_start, side="right")
    other = np.searchsorted(tokens.sentences[tokens.documents], joined.b_start, side="right")
    assert (document[has] != other[has]).mean() > 0.9
