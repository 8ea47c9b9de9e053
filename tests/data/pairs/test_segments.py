"""Examples of one segment: packed end to end (`none`) and cut within documents (`single`)."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.data.pairs.none import Packed
from bertlab.data.pairs.single import Single
from bertlab.data.store import Tokens

MakeTokens = Callable[..., Tokens]
RNG = np.random.default_rng


@pytest.fixture
def documents(make_tokens: MakeTokens) -> Tokens:
    """Documents of 1 to 96 tokens, in sentences of 5 tokens and less."""
    return make_tokens([[[7] * min(5, size - start) for start in range(0, size, 5)] for size in range(1, 97)])


def test_packed_blocks_are_full_and_lie_end_to_end(documents: Tokens) -> None:
    examples = Packed()(documents, 13, RNG(0))
    assert (examples.a_end - examples.a_start == 11).all(), "no padding"
    np.testing.assert_array_equal(examples.a_start[1:], examples.a_end[:-1])
    assert examples.a_start[0] < 11
    assert len(documents.ids) - examples.a_end[-1] < 11
    assert (examples.b_start == examples.b_end).all()


def test_packed_blocks_cross_documents(documents: Tokens) -> None:
    examples = Packed()(documents, 13, RNG(0))
    inner = documents.sentences[documents.documents[1:-1]]
    assert ((examples.a_start[:, None] < inner) & (inner < examples.a_end[:, None])).any(1).mean() > 0.1


def test_packed_cuts_move_from_epoch_to_epoch(documents: Tokens) -> None:
    offsets = [int(Packed()(documents, 13, RNG(seed)).a_start[0]) for seed in range(200)]
    assert set(offsets) == set(range(11))


def test_packing_needs_text_for_one_block_from_any_start(make_tokens: MakeTokens) -> None:
    enough = make_tokens([[[7] * 22]])
    assert all(len(Packed()(enough, 13, RNG(seed))) in (1, 2) for seed in range(30))
    with pytest.raises(InputError) as caught:
        Packed()(make_tokens([[[7] * 21]]), 13, RNG(0))
    assert str(caught.value) == (
        "batch.length 13 needs at least 22 tokens of text, got 21; add text or choose a smaller batch.length"
    )


@pytest.mark.parametrize("shortest", [1, 4, 11])
def test_single_covers_each_document_once_apart_from_short_tails(documents: Tokens, shortest: int) -> None:
    examples = Single(shortest=shortest)(documents, 13, RNG(0))
    covered = np.zeros(len(documents.ids), int)
    for start, end in zip(examples.a_start, examples.a_end, strict=True):
        covered[start:end] += 1
    begins = documents.sentences[documents.documents]
    for first, last in pairwise(begins):
        tail = (last - first) % 11
        used = last - first - (tail if tail < shortest else 0)
        assert covered[first:last].tolist() == [1] * used + [0] * (last - first - used)


def test_single_pieces_stay_within_a_document_and_are_full_but_for_the_last(documents: Tokens) -> None:
    examples = Single(shortest=3)(documents, 13, RNG(0))
    begins = documents.sentences[documents.documents]
    own = np.searchsorted(begins, examples.a_start, side="right")
    np.testing.assert_array_equal(own, np.searchsorted(begins, examples.a_end - 1, side="right"))
    not_full = examples.a_end - examples.a_start < 11
    np.testing.assert_array_equal(examples.a_end[not_full], begins[own][not_full])
    assert (examples.a_end - examples.a_start).min() == 3


def test_single_is_right_on_a_small_example(make_tokens: MakeTokens) -> None:
    tokens = make_tokens([[[7] * 4, [7] * 3], [[7]], [[7] * 12], [[7] * 8]])  # starts 0, 7, 8, 20; cut every 6
    examples = Single(shortest=2)(tokens, 8, RNG(0))
    assert examples.a_start.tolist() == [0, 8, 14, 20, 26]
    assert examples.a_end.tolist() == [6, 14, 20, 26, 28]


def test_single_keeps_full_pieces_however_short_the_sequences(make_tokens: MakeTokens) -> None:
    examples = Single(shortest=8)(make_tokens([[[7] * 15]]), 8, RNG(0))
    assert (examples.a_end - examples.a_start).tolist() == [6, 6]


def test_single_draws_nothing(documents: Tokens) -> None:
    rng = RNG(0)
    Single(shortest=1)(documents, 13, rng)
    assert rng.random() == RNG(0).random()


def test_single_refuses_a_corpus_without_a_piece_that_is_long_enough(make_tokens: MakeTokens) -> None:
    with pytest.raises(InputError) as caught:
        Single(shortest=8)(make_tokens([[[7] * 7]] * 5), 64, RNG(0))
    assert str(caught.value) == ("shortest must be at most the tokens of the longest document, got 8; lower it")
    with pytest.raises(InputError) as caught:
        Single(shortest=0)
    assert str(caught.value) == "shortest must be a whole number of at least 1, got 0; choose for example 1"
