"""Next-sentence pairs, mostly on sentences of one token: there a segment's tokens are its sentences."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from bertlab.config.errors import InputError
from bertlab.data.pairs import FOLLOWS, RANDOM, Examples
from bertlab.data.pairs.nsp import NextSentence
from bertlab.data.store import Ints, Tokens

MakeTokens = Callable[..., Tokens]
LENGTH, ROOM = 64, 61
LEVEL = 1e-4  # of every test on counts; seeds are fixed


def sizes(examples: Examples) -> tuple[Ints, Ints]:
    return examples.a_end - examples.a_start, examples.b_end - examples.b_start


def total(examples: Examples) -> Ints:
    length_a, length_b = sizes(examples)
    return length_a + length_b


def document_of(tokens: Tokens, token: Ints) -> Ints:
    return np.searchsorted(tokens.sentences[tokens.documents], token, side="right") - 1


def draw(tokens: Tokens, seed: int = 0, length: int = LENGTH, random: float = 0.5, short: float = 0.1) -> Examples:
    return NextSentence(random=random, short=short)(tokens, length, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def natural(make_tokens: MakeTokens) -> Tokens:
    """503 documents of 20 to 60 sentences of 3 to 25 tokens."""
    rng = np.random.default_rng(3)
    return make_tokens([[[7] * rng.integers(3, 26) for _ in range(rng.integers(20, 61))] for _ in range(503)])


@pytest.fixture(scope="module")
def examples(natural: Tokens) -> Examples:
    return draw(natural)


@pytest.fixture(scope="module")
def ones(make_tokens: MakeTokens) -> Tokens:
    """101 documents of 997 sentences of one token."""
    return make_tokens([[[7]] * 997] * 101)


def test_labels_are_balanced(examples: Examples) -> None:
    """Tolerance: 4 standard errors of a fair coin."""
    assert len(examples) >= 5000
    assert set(examples.label) == {FOLLOWS, RANDOM}
    assert abs((examples.label == RANDOM).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(examples))


@pytest.mark.parametrize("random", [0, 0.2, 1])
def test_the_share_of_random_pairs_is_the_one_asked_for(natural: Tokens, random: float) -> None:
    label = draw(natural, random=random).label
    tolerance = 4 * np.sqrt(random * (1 - random) / len(label))
    assert abs((label == RANDOM).mean() - random) <= tolerance


def test_both_segments_hold_text_of_one_document_each(natural: Tokens, examples: Examples) -> None:
    for start, end in ((examples.a_start, examples.a_end), (examples.b_start, examples.b_end)):
        assert (end > start).all()
        np.testing.assert_array_equal(document_of(natural, start), document_of(natural, end - 1))


def test_a_random_segment_is_never_of_the_same_document(natural: Tokens, examples: Examples) -> None:
    same = document_of(natural, examples.a_start) == document_of(natural, examples.b_start)
    np.testing.assert_array_equal(same, examples.label == FOLLOWS)


def test_a_following_segment_starts_right_where_the_first_ended(natural: Tokens, examples: Examples) -> None:
    follows = examples.label == FOLLOWS
    whole = follows & (total(examples) < ROOM)  # nothing was trimmed
    assert 100 < whole.sum() < follows.sum()
    np.testing.assert_array_equal(examples.a_end[whole], examples.b_start[whole])
    assert np.isin(examples.a_end[whole], natural.sentences).all()
    assert (examples.a_end <= examples.b_start)[follows].all(), "where tokens were cut there may be a gap"


def test_untrimmed_segments_are_whole_sentences(natural: Tokens, examples: Examples) -> None:
    whole = total(examples) < ROOM
    for field in ("a_start", "a_end", "b_start", "b_end"):
        assert np.isin(getattr(examples, field)[whole], natural.sentences).all()


def test_segments_fill_the_length(natural: Tokens) -> None:
    """A pair that does not fill it is short by design, or is at the end of a document."""
    everything, full = (total(draw(natural, short=short)) for short in (0.1, 0))
    assert full.mean() / ROOM > 0.95
    assert 0.9 < everything.mean() / ROOM < full.mean() / ROOM
    assert everything.max() == full.max() == ROOM


@pytest.mark.parametrize("short", [0, 0.1, 0.5, 1])
def test_the_share_of_short_pairs_is_the_one_asked_for(ones: Tokens, short: float) -> None:
    """A short pair has a target of 2 to 61 tokens, all equally likely, so 1 in 60 is as long as the others."""
    pairs = draw(ones, random=0, short=short)
    inside = pairs.b_end % 997 != 0  # the end of a document cuts pairs too
    length = total(pairs)[inside]
    expected = short * (1 - 1 / 60)
    assert abs((length < ROOM).mean() - expected) <= 4 * np.sqrt(expected * (1 - expected) / len(length))
    if short == 1:
        first = total(pairs)[: 101 * 5]  # chosen before any document ends, so only by the target
        assert first.min() == 2
        assert kstest((first - 2 + 0.5) / 60, "uniform").pvalue > LEVEL


def test_the_cut_is_at_every_boundary_alike(ones: Tokens) -> None:
    pairs = draw(ones, random=0, short=0)
    length_a, length_b = (size[total(pairs) == ROOM] for size in sizes(pairs))
    assert (length_a + length_b == ROOM).all()
    assert chisquare(np.bincount(length_a, minlength=ROOM)[1:ROOM]).pvalue > LEVEL


def test_the_other_document_is_any_of_the_others_alike(make_tokens: MakeTokens) -> None:
    tokens = make_tokens([[[7]] * 2999] * 7)
    pairs = draw(tokens, random=1, short=0)
    own, other = document_of(tokens, pairs.a_start), document_of(tokens, pairs.b_start)
    counts = np.zeros((7, 7))
    np.add.at(counts, (own, other), 1)
    for number, row in enumerate(counts):
        assert row[number] == 0
        assert chisquare(np.delete(row, number)).pvalue > LEVEL


def test_a_random_segment_starts_at_any_sentence_of_its_document(ones: Tokens) -> None:
    pairs = draw(ones, random=1, short=0)
    assert kstest(((pairs.b_start % 997) + 0.5) / 997, "uniform").pvalue > LEVEL


def test_replaced_sentences_are_put_back_and_every_sentence_is_used(ones: Tokens) -> None:
    """The next chunk starts where B ended, or where A ended if B came from elsewhere; one sentence may be left over."""
    pairs = draw(ones)
    document = document_of(ones, pairs.a_start)
    goes_on = np.where(pairs.label == FOLLOWS, pairs.b_end, pairs.a_end)
    for number in range(101):
        starts, follow_ups = pairs.a_start[document == number], goes_on[document == number]
        assert starts[0] == number * 997
        np.testing.assert_array_equal(starts[1:], follow_ups[:-1])
        assert (number + 1) * 997 - follow_ups[-1] in (0, 1)


def popped(length_a: int, length_b: int, room: int) -> tuple[int, int]:
    """Drop a token of the longer segment, of B where they tie, until both fit: the rule of the reference."""
    while length_a + length_b > room:
        if length_a > length_b:
            length_a -= 1
        else:
            length_b -= 1
    return length_a, length_b


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((10, 21), (10, 21)),  # fits
        ((50, 10), (21, 10)),  # the shorter one is kept when it is at most half
        ((10, 50), (10, 21)),
        ((15, 40), (15, 16)),
        ((16, 40), (16, 15)),
        ((40, 15), (16, 15)),
        ((40, 40), (16, 15)),  # both are cut: the odd token is A's
        ((17, 99), (16, 15)),
        ((1, 99), (1, 30)),
    ],
)
def test_what_is_too_long_is_cut_from_the_longer_segment(
    make_tokens: MakeTokens, given: tuple[int, int], kept: tuple[int, int]
) -> None:
    tokens = make_tokens([[[7] * given[0], [7] * given[1]]] * 3)
    pairs = draw(tokens, length=34, random=0, short=0)
    length_a, length_b = sizes(pairs)
    assert set(zip(length_a.tolist(), length_b.tolist(), strict=True)) == {kept} == {popped(*given, room=31)}


def test_trimming_is_that_of_the_reference_for_any_lengths(make_tokens: MakeTokens) -> None:
    rng = np.random.default_rng(1)
    given = rng.integers(1, 50, (997, 2)).tolist()
    tokens = make_tokens([[[7] * a, [7] * b] for a, b in given])
    for length in (12, 35):
        length_a, length_b = sizes(draw(tokens, length=length, random=0, short=0))
        expected = [popped(a, b, length - 3) for a, b in given]
        assert list(zip(length_a.tolist(), length_b.tolist(), strict=True)) == expected


def test_tokens_are_cut_at_the_front_and_the_back_alike(make_tokens: MakeTokens) -> None:
    """20 tokens of A are cut, each from one end at random with equal chance: mean 10, standard deviation sqrt(5)."""
    tokens = make_tokens([[[7] * 41, [7] * 10]] * 997)
    pairs = draw(tokens, length=34, random=0, short=0)
    front = pairs.a_start - 51 * np.arange(997)
    assert abs(front.mean() - 10) < 4 * np.sqrt(5 / 997)
    assert np.sqrt(5) * 0.9 < front.std() < np.sqrt(5) * 1.1


def test_a_sentence_longer_than_the_length_still_makes_pairs(make_tokens: MakeTokens) -> None:
    tokens = make_tokens([[[7] * 200] * 3] * 5)
    length_a, length_b = sizes(draw(tokens, random=0, short=0))
    assert set(zip(length_a.tolist(), length_b.tolist(), strict=True)) == {(31, 30)}


def test_epochs_differ(natural: Tokens, examples: Examples) -> None:
    other = draw(natural, seed=1)
    assert len(np.intersect1d(examples.a_start, other.a_start)) < 0.5 * len(examples)


def test_documents_of_one_sentence_make_no_chunk_but_serve_as_the_other_half(make_tokens: MakeTokens) -> None:
    tokens = make_tokens([[[7]], [[7]] * 50, [[7]]])
    pairs = draw(tokens, random=1, short=0)
    assert set(document_of(tokens, pairs.a_start)) == {1}
    assert set(document_of(tokens, pairs.b_start)) == {0, 2}


def test_what_cannot_make_pairs_is_an_input_error(make_tokens: MakeTokens) -> None:
    with pytest.raises(InputError) as caught:
        draw(make_tokens([[[7]] * 50]))
    assert str(caught.value) == (
        "pairs of segments need at least 2 documents in a split, got 1; add text or use pairs=none"
    )
    with pytest.raises(InputError) as caught:
        draw(make_tokens([[[7] * 9]] * 50))
    assert str(caught.value) == (
        "pairs of segments need documents of at least 2 sentences, got none; add text or use pairs=none"
    )


@pytest.mark.parametrize("name", ["random", "short"])
def test_shares_outside_their_bounds_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        NextSentence(**({"random": 0.5, "short": 0.1} | {name: 1.5}))
    assert str(caught.value) == f"{name} must lie in [0, 1], got 1.5; choose a number inside"
