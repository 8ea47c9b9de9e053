"""Tasks with labels: every example agrees with its label, and no document is used for both training and test."""

from dataclasses import fields

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.data.oracle import Oracle
from bertlab.data.prepare import prepare
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP
from bertlab.data.tokenizer.words import Words
from bertlab.evaluation import tasks
from bertlab.evaluation.tasks import APART, TASKS, Labelled, Task, draw_tasks, read_tasks

LENGTH, TEACH, CHOOSE, JUDGE = 17, 40, 24, 30


@pytest.fixture(scope="module")
def words() -> TokenStore:
    return prepare(Oracle(documents=1000), Words(vocab_size=200))


@pytest.fixture(scope="module")
def drawn(words: TokenStore) -> dict[str, Task]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "CHOOSE", CHOOSE)
        patch.setattr(tasks, "JUDGE", JUDGE)
        return read_tasks(draw_tasks(words.splits["valid"], LENGTH, TEACH, np.random.default_rng(0)))


def pieces(labelled: Labelled) -> list[list[tuple[int, ...]]]:
    """Return the segments of each example."""
    return [
        [tuple(ids_L[(segments_L == segment) & (ids_L > MASK)].tolist()) for segment in (0, 1)]
        for ids_L, segments_L in zip(labelled.ids_NL, labelled.segments_NL, strict=True)
    ]


def documents_of(words: TokenStore) -> dict[tuple[int, ...], set[tuple[int, int]]]:
    """Return the position of each run of tokens with the length of a piece of a pair: (document, place in it)."""
    tokens, room = words.splits["valid"], (LENGTH - 3) // 2
    found: dict[tuple[int, ...], set[tuple[int, int]]] = {}
    for document, (first, last) in enumerate(zip(tokens.documents[:-1], tokens.documents[1:], strict=True)):
        ids = np.asarray(tokens.ids[tokens.sentences[first] : tokens.sentences[last]]).tolist()
        for place in range(len(ids) // room):
            found.setdefault(tuple(ids[place * room : (place + 1) * room]), set()).add((document, place))
    return found


def test_there_are_as_many_examples_as_asked_for_and_all_are_full(drawn: dict[str, Task]) -> None:
    assert tuple(drawn) == TASKS
    for task in drawn.values():
        assert (len(task.teach), len(task.choose), len(task.judge)) == (TEACH, CHOOSE, JUDGE)
        for field in fields(Task):
            labelled: Labelled = getattr(task, field.name)
            assert labelled.ids_NL.shape == labelled.segments_NL.shape == (len(labelled), LENGTH)
            assert (labelled.ids_NL[:, 0] == CLS).all()
            assert not (labelled.ids_NL == MASK).any()


def test_pairs_that_are_called_similar_come_from_one_document_and_do_not_touch(
    drawn: dict[str, Task], words: TokenStore
) -> None:
    """Pieces may be equal in two documents: pieces labelled similar can be, others need not be."""
    places = documents_of(words)
    for labelled in (drawn["similarity"].teach, drawn["similarity"].judge):
        same_N = labelled.answer_NC[:, 0]
        assert abs(same_N.mean() - 0.5) < 0.5 / len(same_N) + 1e-9
        for same, (one, two) in zip(same_N, pieces(labelled), strict=True):
            placed = [(d, a, e, b) for d, a in places[one] for e, b in places[two]]
            assert any((d == e and abs(a - b) >= APART) if same else d != e for d, a, e, b in placed)


def test_no_document_both_teaches_and_judges(drawn: dict[str, Task], words: TokenStore) -> None:
    places = documents_of(words)
    seen = [
        {d for one in pieces(labelled) for piece in one if len(places[piece]) == 1 for d, _ in places[piece]}
        for labelled in (drawn["similarity"].teach, drawn["similarity"].choose, drawn["similarity"].judge)
    ]
    assert all(seen)
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


def test_a_text_has_the_errors_that_its_labels_say(words: TokenStore) -> None:
    """By hand: texts of increasing numbers, so that a word shows its position."""
    ids_NL = np.tile(np.concatenate(([CLS], np.arange(101, 201), [SEP])), (64, 1))
    made = tasks._proofreading(ids_NL, np.zeros_like(ids_NL), np.array([500]), np.random.default_rng(1))
    assert {tuple(answer) for answer in made.answer_NC.tolist()} == set(np.ndindex(2, 2, 2)), "any or none"
    for ids_L, (moved, strange, doubled) in zip(made.ids_NL, made.answer_NC, strict=True):
        assert (ids_L[0], ids_L[-1]) == (CLS, SEP)
        words_L = ids_L[1:-1]
        assert (words_L == 500).sum() == 15 * strange
        wrong = (words_L != np.arange(101, 201)) & (words_L != 500)
        again = wrong & (words_L == np.arange(100, 200))
        assert 9 * doubled <= again.sum() <= 10 * doubled + moved, "the first word has none before it"
        assert 19 * moved <= (wrong & ~again).sum() <= 20 * moved


def test_the_word_that_comes_next_is_the_last_one(drawn: dict[str, Task]) -> None:
    labelled = drawn["continuation"].teach
    assert labelled.answer_NC.shape == (TEACH, 0)
    for ids_L, column in zip(labelled.ids_NL, labelled.column_N, strict=True):
        assert LENGTH // 2 <= column < LENGTH - 1
        assert ids_L[column] > MASK
        assert ids_L[column + 1] == SEP
        assert (ids_L[column + 2 :] == PAD).all()
    rows, columns = np.divmod(labelled.hidden, LENGTH)
    assert rows.tolist() == list(range(TEACH))
    assert columns.tolist() == labelled.column_N.tolist()
    assert len(set(columns.tolist())) > 3


def test_questions_hide_nothing(drawn: dict[str, Task]) -> None:
    assert not len(drawn["similarity"].teach.hidden) + len(drawn["proofreading"].judge.hidden)


def test_too_little_text_is_one_clear_line(words: TokenStore) -> None:
    with pytest.raises(InputError, match=r"^evaluation\.finetune needs 100000 pieces of 15 tokens .*; add text, ask"):
        draw_tasks(words.splits["valid"], LENGTH, 100_000, np.random.default_rng(0))


def test_examples_are_the_first_of_those_of_a_longer_list(drawn: dict[str, Task]) -> None:
    few = drawn["proofreading"].teach[:7]
    assert len(few) == 7
    np.testing.assert_array_equal(few.answer_NC, drawn["proofreading"].teach.answer_NC[:7])
