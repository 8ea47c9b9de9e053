"""What is chosen together: whole words, and spans of them."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import chisquare

from bertlab.config.errors import InputError
from bertlab.data.tokenizer import CLS, PAD, SEP, SPECIALS, UNK, Vocabulary
from bertlab.mask.rated import NEVER, carry
from bertlab.mask.span import SpanMask, span_lengths, tile
from bertlab.mask.token import TokenMask
from bertlab.mask.whole_word import WholeWordMask, word_starts
from bertlab.streams import Streams

VOCABULARY = Vocabulary([*SPECIALS, "sail", "##or", "##s", "the", "sea"])
SAIL, OR, S, THE, SEA = range(5, 10)
SPLIT = [0.8, 0.1, 0.1]
DRAW = partial(Streams(1).generator, counter=2)
TEXT = np.array([CLS, THE, SAIL, OR, S, SEP, S, SEA, SEA, OR, UNK, OR, SEP, PAD, PAD])
IDS = np.tile(TEXT, (1009, 1))  # 9,081 tokens
WORDS = ([1], [2, 3, 4], [6], [7], [8, 9], [11])  # columns; a piece after a special token is a word of its own
POLICIES = {
    "token": TokenMask(rate=0.15, split=SPLIT),
    "whole_word": WholeWordMask(rate=0.15, split=SPLIT),
    "span": SpanMask(rate=0.15, split=SPLIT, p=0.2, longest=10),
}


def test_words_start_at_whole_pieces_and_after_special_tokens() -> None:
    assert np.flatnonzero(word_starts(TEXT[None], VOCABULARY)).tolist() == [word[0] for word in WORDS]


@pytest.mark.parametrize("name", ["whole_word", "span"])
def test_a_word_is_never_split_at_any_rate(name: str) -> None:
    """All pieces have one level, so no rate can separate them."""
    level = POLICIES[name].level(IDS, VOCABULARY, DRAW)
    for word in WORDS:
        assert (level[:, word] == level[:, word[:1]]).all()
    special = np.isin(TEXT, [CLS, SEP, UNK, PAD])
    assert (level[:, special] == NEVER).all()
    assert (level[:, ~special] < 1).all()


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("rate", [0.05, 0.15, 0.5])
def test_every_column_is_chosen_at_the_rate(name: str, rate: float) -> None:
    """Long words as often as short ones. 20 batches of 1,009 rows; tolerance: 4 standard errors."""
    shares = np.zeros(len(TEXT))
    for counter in range(20):
        draw = partial(Streams(1).generator, counter=counter)
        shares += (POLICIES[name].level(IDS, VOCABULARY, draw) < rate).mean(0) / 20
    real = len(SPECIALS) <= TEXT
    assert (np.abs(shares[real] - rate) < 4 * np.sqrt(rate * (1 - rate) / 20 / len(IDS))).all()


def test_words_are_chosen_independently_of_each_other() -> None:
    """Correlation over 1,009 rows: 4 standard errors."""
    level = POLICIES["whole_word"].level(IDS, VOCABULARY, DRAW)
    chosen = level[:, [word[0] for word in WORDS]] < 0.4
    correlation = np.corrcoef(chosen.T) - np.eye(len(WORDS))
    assert np.abs(correlation).max() < 4 / np.sqrt(len(IDS))


def test_words_of_one_piece_have_the_level_that_token_gives_them() -> None:
    word, token = (POLICIES[name].level(IDS, VOCABULARY, DRAW) for name in ("whole_word", "token"))
    first = [word[0] for word in WORDS]
    np.testing.assert_array_equal(word[:, first], token[:, first])


def test_whole_words_need_words_of_several_pieces() -> None:
    with pytest.raises(InputError) as caught:
        POLICIES["whole_word"](IDS, Vocabulary([*SPECIALS, "sail", "the"]), DRAW)
    assert str(caught.value) == (
        "mask=whole_word needs words of several pieces (##), got a vocabulary of whole words, where it equals "
        "mask=token; use mask=token or tokenizer=wordpiece"
    )


def test_lengths_are_geometric_up_to_the_longest() -> None:
    """Joshi et al. 2020: p = .2 and 10 words at most, mean 3.8. Chi-square, level 1e-4."""
    lengths = span_lengths(np.random.default_rng(0).random(100_003), 0.2, 10)
    share = 0.2 * 0.8 ** np.arange(10)
    share /= share.sum()
    assert (share * np.arange(1, 11)).sum() == pytest.approx(3.8, abs=0.01)
    assert chisquare(np.bincount(lengths, minlength=11)[1:], share * len(lengths)).pvalue > 1e-4
    assert set(lengths) == set(range(1, 11))


@pytest.mark.parametrize(("longest", "ends"), [(2, [2 / 3, 1]), (3, [4 / 7, 6 / 7, 1])])
def test_lengths_by_hand(longest: int, ends: list[float]) -> None:
    """P(1, 2, 3) is 4/7, 2/7, 1/7 for p = 1/2 up to 3, and 2/3, 1/3 up to 2."""
    just_below = np.array(ends) - 1e-6
    assert span_lengths(just_below, 0.5, longest).tolist() == list(range(1, longest + 1))
    assert span_lengths(just_below[:-1] + 2e-6, 0.5, longest).tolist() == list(range(2, longest + 1))


def test_spans_tile_the_text_and_end_at_special_tokens() -> None:
    starts, real = word_starts(TEXT[None], VOCABULARY), TEXT[None] >= len(SPECIALS)
    two = tile(starts, real, np.full(IDS[:1].shape, 2))
    assert np.flatnonzero(two).tolist() == [1, 6, 8, 11]
    assert np.flatnonzero(tile(starts, real, np.full(IDS[:1].shape, 9))).tolist() == [1, 6, 11]
    np.testing.assert_array_equal(tile(starts, real, np.full(IDS[:1].shape, 1)), starts)


def test_neighbours_are_chosen_together_more_often_in_spans() -> None:
    """Of 2 adjacent words, one chosen: both are in 1 - 1/3.8 of the spans and by chance; tolerance .02."""
    words = np.full((997, 101), SEA)
    level = POLICIES["span"].level(words, VOCABULARY, DRAW)
    together = (level[:, 1:] == level[:, :-1]).mean()
    assert together == pytest.approx(1 - 1 / 3.8, abs=0.02)


def test_a_value_is_carried_to_the_next_start() -> None:
    values, starts = np.array([[1.0, 2, 3, 4]]), np.array([[False, False, True, False]])
    assert carry(values, starts).tolist() == [[1, 1, 3, 3]]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"p": 1.0}, "p must lie in (0, 1), got 1.0; choose a number inside"),
        ({"longest": 1}, "longest must be a whole number of at least 2, got 1; choose for example 2"),
    ],
)
def test_impossible_spans_are_refused(settings: dict[str, float], line: str) -> None:
    with pytest.raises(InputError) as caught:
        SpanMask(**({"rate": 0.15, "split": SPLIT, "p": 0.2, "longest": 10} | settings))  # type: ignore[arg-type]
    assert str(caught.value) == line
