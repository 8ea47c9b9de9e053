"""Parallel sentences: the odd sentences of a document paired with the even ones."""

from collections.abc import Callable

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.data.pairs import NO_PAIR
from bertlab.data.pairs.parallel import Parallel
from bertlab.data.store import Tokens

NOTHING = np.random.default_rng(0)
MakeTokens = Callable[..., Tokens]


def segments(tokens: Tokens, length: int) -> list[tuple[list[int], list[int]]]:
    made = Parallel()(tokens, length, NOTHING)
    assert set(made.label.tolist()) == {NO_PAIR}
    ends = zip(made.a_start, made.a_end, made.b_start, made.b_end, strict=True)
    return [(tokens.ids[a:b].tolist(), tokens.ids[c:d].tolist()) for a, b, c, d in ends]


def test_a_sentence_is_paired_with_the_next_one_of_its_document(make_tokens: MakeTokens) -> None:
    tokens = make_tokens([[[5, 6], [7], [8], [9, 10], [11]], [[12]], [[13], [14, 15]]])
    assert segments(tokens, 8) == [([5, 6], [7]), ([8], [9, 10]), ([13], [14, 15])]


def test_what_is_too_long_is_cut_at_the_end_of_the_longer_segment(make_tokens: MakeTokens) -> None:
    tokens = make_tokens([[[1, 2, 3, 4, 5, 6, 7], [8]], [[1], [2, 3, 4, 5, 6, 7, 8]], [[1] * 9, [2] * 9]])
    assert segments(tokens, 8) == [([1, 2, 3, 4], [8]), ([1], [2, 3, 4, 5]), ([1] * 3, [2] * 2)]


def test_documents_of_one_sentence_are_refused(make_tokens: MakeTokens) -> None:
    with pytest.raises(InputError) as caught:
        segments(make_tokens([[[5, 6]], [[7]]]), 8)
    assert (
        str(caught.value)
        == "pairs=parallel needs documents of at least 2 sentences, got none; add text or use pairs=none"
    )
