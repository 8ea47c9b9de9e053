"""Sentence-order pairs: the segments of next-sentence pairs that follow, some of them swapped."""

from collections.abc import Callable

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.data.pairs import FOLLOWS, SWAPPED, Examples
from bertlab.data.pairs.nsp import NextSentence
from bertlab.data.pairs.sop import SentenceOrder
from bertlab.data.store import Tokens


@pytest.fixture(scope="module")
def tokens(make_tokens: Callable[..., Tokens]) -> Tokens:
    """211 documents of 20 to 60 sentences of 3 to 25 tokens."""
    rng = np.random.default_rng(3)
    return make_tokens([[[7] * rng.integers(3, 26) for _ in range(rng.integers(20, 61))] for _ in range(211)])


def draw(tokens: Tokens, swapped: float) -> Examples:
    return SentenceOrder(swapped=swapped, short=0.1)(tokens, 64, np.random.default_rng(0))


@pytest.mark.parametrize("swapped", [0, 0.3, 0.5, 1])
def test_the_share_of_swapped_pairs_is_the_one_asked_for(tokens: Tokens, swapped: float) -> None:
    """Tolerance: 4 standard errors of 1,777 pairs."""
    label = draw(tokens, swapped).label
    assert len(label) > 1500
    assert abs((label == SWAPPED).mean() - swapped) <= 4 * np.sqrt(swapped * (1 - swapped) / len(label))


def test_a_label_says_which_segment_comes_first_in_the_text(tokens: Tokens) -> None:
    examples = draw(tokens, 0.5)
    np.testing.assert_array_equal(examples.b_start >= examples.a_end, examples.label == FOLLOWS)
    np.testing.assert_array_equal(examples.b_end <= examples.a_start, examples.label == SWAPPED)


def test_both_segments_are_of_one_document(tokens: Tokens) -> None:
    examples, begins = draw(tokens, 0.5), tokens.sentences[tokens.documents]
    first, second = (np.searchsorted(begins, start, side="right") for start in (examples.a_start, examples.b_start))
    np.testing.assert_array_equal(first, second)


def test_nothing_is_changed_but_places(tokens: Tokens) -> None:
    straight = NextSentence(random=0, short=0.1)(tokens, 64, np.random.default_rng(0))
    swapped = draw(tokens, 1)
    assert np.array_equal(swapped.a_start, straight.b_start)
    assert np.array_equal(swapped.a_end, straight.b_end)
    assert np.array_equal(swapped.b_start, straight.a_start)
    assert np.array_equal(swapped.b_end, straight.a_end)


@pytest.mark.parametrize("name", ["swapped", "short"])
def test_shares_outside_their_bounds_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        SentenceOrder(**({"swapped": 0.5, "short": 0.1} | {name: 1.5}))
    assert str(caught.value) == f"{name} must lie in [0, 1], got 1.5; choose a number inside"
