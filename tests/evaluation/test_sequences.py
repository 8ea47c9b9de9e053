"""Arms read the same text in different ways and predict the same tokens: two sequences written by hand."""

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP
from bertlab.evaluation import sequences
from bertlab.evaluation.sequences import Reading, Sequences

TEXT = Sequences(
    ids_NL=np.array([[CLS, 11, 12, 13, SEP, PAD], [CLS, 21, 22, 23, 24, SEP]]),
    segments_NL=np.array([[0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]]),
    label_N=np.array([NO_PAIR, NO_PAIR]),
)
HIDDEN = np.array([1, 3, 9])  # 11, 13 and 23


def read(reading: Reading, given: list[int] | None = None) -> Batch:
    (batch,) = TEXT.batches(HIDDEN, None if given is None else np.array(given), reading)
    return batch


def test_the_first_half_keeps_its_masked_tokens() -> None:
    first, kept_M, hidden_M = TEXT.first_half(HIDDEN)
    assert first.ids_NL.tolist() == [[CLS, 11, 12], [CLS, 21, 22]]
    assert kept_M.tolist() == [True, False, False]
    assert hidden_M.tolist() == [1]
    _, kept_M, hidden_M = TEXT.first_half(np.array([2, 3, 7, 8, 9]))
    assert kept_M.tolist() == [True, False, True, True, False]
    assert hidden_M.tolist() == [2, 4, 5]


def test_one_sequence_of_so_many_starts_with_the_first() -> None:
    assert TEXT.every(1).ids_NL.tolist() == TEXT.ids_NL.tolist()
    assert TEXT.every(2).segments_NL.tolist() == [[0, 0, 0, 0, 0, 0]]


def test_an_arm_that_fills_gaps_sees_masks_and_predicts_there() -> None:
    batch = read(Reading())
    assert batch.ids_BL.tolist() == [[CLS, MASK, 12, MASK, SEP, PAD], [CLS, 21, 22, MASK, 24, SEP]]
    assert batch.position_M.tolist() == [1, 3, 9]
    assert batch.target_M.tolist() == [11, 13, 23]


def test_an_arm_that_predicts_ahead_sees_the_text_and_predicts_the_same_tokens_one_place_before() -> None:
    batch = read(Reading(ahead=1))
    assert batch.ids_BL.tolist() == TEXT.ids_NL.tolist()
    assert batch.position_M.tolist() == [0, 2, 8]
    assert batch.target_M.tolist() == [11, 13, 23]


def test_an_arm_without_cls_reads_the_same_text_and_predicts_the_same_tokens() -> None:
    batch = read(Reading(cls=False))
    assert batch.ids_BL.tolist() == [[MASK, 12, MASK, SEP, PAD, PAD], [21, 22, MASK, 24, SEP, PAD]]
    assert batch.segments_BL.tolist() == [[0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0]]
    assert batch.real_BL is not None
    assert batch.real_BL.tolist() == [[True] * 4 + [False] * 2, [True] * 5 + [False]]
    assert batch.position_M.tolist() == [0, 2, 8]
    assert batch.ids_BL.view(-1)[batch.position_M].tolist() == [MASK] * 3
    assert batch.target_M.tolist() == [11, 13, 23]


def test_gaps_may_have_other_tokens_than_masks_except_for_an_arm_that_predicts_ahead() -> None:
    batch = read(Reading(), [MASK, 99, 23])
    assert batch.ids_BL.tolist() == [[CLS, MASK, 12, 99, SEP, PAD], [CLS, 21, 22, 23, 24, SEP]]
    assert batch.target_M.tolist() == [11, 13, 23]
    assert read(Reading(ahead=1), [MASK, 99, 23]).ids_BL.tolist() == TEXT.ids_NL.tolist()


@pytest.mark.parametrize("reading", [Reading(), Reading(ahead=1), Reading(cls=False)])
def test_chunks_hold_what_the_whole_holds(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(reading)
    monkeypatch.setattr(sequences, "CHUNK", 1)
    first, second = TEXT.batches(HIDDEN, None, reading)
    columns = whole.ids_BL.shape[1]
    assert [*first.ids_BL.tolist(), *second.ids_BL.tolist()] == whole.ids_BL.tolist()
    assert [*first.position_M.tolist(), *(second.position_M + columns).tolist()] == whole.position_M.tolist()
    assert [*first.target_M.tolist(), *second.target_M.tolist()] == whole.target_M.tolist()


def test_one_at_a_time_is_a_copy_for_each_token_with_that_token_hidden_alone() -> None:
    copies, hidden_M = TEXT.one_at_a_time(HIDDEN)
    (batch,) = copies.batches(hidden_M)
    assert batch.ids_BL.tolist() == [
        [CLS, MASK, 12, 13, SEP, PAD],
        [CLS, 11, 12, MASK, SEP, PAD],
        [CLS, 21, 22, MASK, 24, SEP],
    ]
    assert batch.position_M.tolist() == [1, 9, 15]
    assert batch.target_M.tolist() == [11, 13, 23]
    assert batch.segments_BL.tolist() == TEXT.segments_NL[[0, 0, 1]].tolist()
    (ahead,) = copies.batches(hidden_M, reading=Reading(ahead=1))
    assert ahead.ids_BL.tolist() == TEXT.ids_NL[[0, 0, 1]].tolist()
    assert ahead.position_M.tolist() == [0, 8, 14]


def test_the_first_token_needs_something_before_it_to_be_predicted_ahead() -> None:
    with pytest.raises(InputError) as caught:
        Reading(cls=False, ahead=1)
    assert str(caught.value) == (
        "batch.cls must be true where the next token is predicted (mask=next_token), got false: nothing would be "
        "before the first token to predict it; choose batch.cls=true or another mask"
    )
