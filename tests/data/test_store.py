import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bertlab.data.documents import Document
from bertlab.data.prepare import prepare
from bertlab.data.sentences import sentences
from bertlab.data.store import TokenStore, read_store
from bertlab.data.tokenizer import SPECIALS
from bertlab.data.tokenizer.words import Words

HAND = [  # of "a b c" the training split holds 3, 2 and 1; "d" is held out only, "e" in the test split only
    Document("one", "a b a b\n\nc", "train"),
    Document("two", "d a", "valid"),
    Document("three", "a", "train"),
    Document("four", "c d e\n\n\n\nb", "valid"),
    Document("five", "e", "test"),
]


@pytest.fixture(scope="module")
def hand(make_corpus: Callable[..., Any]) -> TokenStore:
    return prepare(make_corpus(HAND), Words(vocab_size=100))


def test_offsets_and_ids_of_a_small_corpus_are_right(hand: TokenStore) -> None:
    tokens = hand.vocabulary.tokens
    assert tokens == [*SPECIALS, "a", "b", "c"]
    train, valid, test = (hand.splits[name] for name in ("train", "valid", "test"))
    assert [tokens[id_] for id_ in train.ids] == ["a", "b", "a", "b", "c", "a"]
    assert train.sentences.tolist() == [0, 4, 5, 6]
    assert train.documents.tolist() == [0, 2, 3]
    assert [tokens[id_] for id_ in valid.ids] == ["[UNK]", "a", "c", "[UNK]", "[UNK]", "b"]
    assert valid.sentences.tolist() == [0, 2, 5, 6]
    assert valid.documents.tolist() == [0, 1, 3]
    assert test.ids.tolist() == [1]
    assert hand.counts.tolist() == [0, 0, 0, 0, 0, 3, 2, 1]


def test_the_unigram_is_the_smoothed_share_of_each_real_token(hand: TokenStore) -> None:
    np.testing.assert_allclose(np.exp(hand.unigram[5:]), np.array([4, 3, 2]) / 9)
    assert np.isnan(hand.unigram[:5]).all()


def test_the_unigram_sums_to_one_and_gives_unseen_tokens_a_chance(store: TokenStore) -> None:
    real = store.unigram[store.vocabulary.first_real :]
    assert np.exp(real).sum() == pytest.approx(1, abs=1e-12)
    unseen = store.counts[store.vocabulary.first_real :] == 0
    assert unseen.any(), "the claim needs a token that the training split never uses"
    total = store.counts[store.vocabulary.first_real :].sum() + len(real)
    np.testing.assert_allclose(real[unseen], -np.log(total))


def test_counts_are_those_of_the_training_split(store: TokenStore) -> None:
    for id_, count in enumerate(store.counts):
        assert (store.splits["train"].ids == id_).sum() == count
    assert len(store.counts) == store.vocabulary.size


def test_tokens_decode_to_the_sentences_of_the_corpus(store: TokenStore, tiny_corpus: Any) -> None:
    for name, split in store.splits.items():
        texts = [[*sentences(document.text)] for document in tiny_corpus.documents() if document.split == name]
        assert np.diff(split.documents).tolist() == [len(own) for own in texts]
        assert len(split.sentences) == split.documents[-1] + 1
        assert split.sentences[-1] == len(split.ids)
        for (start, end), text in zip(itertools.pairwise(split.sentences), itertools.chain(*texts), strict=True):
            assert store.tokenizer.decode(split.ids[start:end].tolist()) == text.lower()


def test_no_special_token_is_stored_but_unknown(store: TokenStore) -> None:
    for split in store.splits.values():
        assert split.ids.min() >= store.vocabulary.first_real


def test_arrays_are_mapped_and_cannot_be_written(store: TokenStore) -> None:
    for split in store.splits.values():
        for array in (split.ids, split.sentences, split.documents):
            assert isinstance(array, np.memmap)
            assert array.mode == "r"
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


def test_a_store_reads_back_as_it_was_made(store: TokenStore) -> None:
    again = read_store(store.folder)
    assert (again.fingerprint, again.facts) == (store.fingerprint, store.facts)
    assert again.vocabulary == store.vocabulary
    assert list(again.splits) == ["train", "valid"]
    for name, split in store.splits.items():
        for field in ("ids", "sentences", "documents"):
            np.testing.assert_array_equal(getattr(again.splits[name], field), getattr(split, field))


def test_facts_say_what_the_store_holds(hand: TokenStore) -> None:
    assert hand.facts["vocabulary"] == "8 tokens"
    assert hand.facts["train"] == "2 documents, 3 sentences, 6 tokens"
    assert hand.facts["valid"] == "2 documents, 3 sentences, 6 tokens"
    assert hand.facts["source"] == "a list"
