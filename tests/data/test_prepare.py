import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from bertlab.config.errors import InputError
from bertlab.data.documents import SPLITS, Document, lot
from bertlab.data.prepare import prepare
from bertlab.data.splits import choose_splits
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import SPECIALS
from bertlab.data.tokenizer.wordpiece import WordPiece
from bertlab.data.tokenizer.words import Words

MakeCorpus = Callable[..., Any]
WORDS = Words(vocab_size=100)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path))
    return tmp_path


def without_splits(count: int) -> list[Document]:
    return [Document(f"id-{number}", f"w{number} and more") for number in range(count)]


def held_out(corpus: Any) -> set[str]:
    names = choose_splits(corpus).names
    return {document.id for document, name in zip(corpus.documents(), names, strict=True) if name == "valid"}


def refusal(corpus: Any, tokenizer: Any = WORDS) -> str:
    with pytest.raises(InputError) as caught:
        prepare(corpus, tokenizer)
    return str(caught.value)


def size_refusal(train: int, valid: int) -> str:
    return (
        "data=listed must hold at least 2 documents for training and 2 held out, "
        f"got {train} and {valid}; add text, or check that documents are separated as the corpus asks"
    )


def test_the_splits_of_the_source_are_honoured(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus([Document(str(n), f"w{n} w0 w3", SPLITS[n % 3]) for n in range(60)])
    store = prepare(corpus, WORDS)
    for place, name in enumerate(SPLITS):
        expected = [word for n in range(60) if n % 3 == place for word in (f"w{n}", "w0", "w3")]
        if name == "train":
            assert [store.vocabulary.tokens[id_] for id_ in store.splits[name].ids] == expected
        assert len(store.splits[name].documents) == len(expected) // 3 + 1


def test_the_tokenizer_learns_from_the_training_split_alone(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus([Document(f"{name}{n}", f"{name}{n} a", name) for name in SPLITS for n in range(2)])
    assert prepare(corpus, WORDS).vocabulary.tokens[5:] == ["a", "train0", "train1"]


def test_a_twentieth_is_held_out_where_the_source_names_no_split(make_corpus: MakeCorpus) -> None:
    """5 % of 4,001 documents at random: 200 expected, standard deviation 14."""
    documents = without_splits(4001)
    chosen = held_out(make_corpus(documents))
    assert 150 < len(chosen) < 250
    assert chosen == {document.id for document in documents if lot(document) <= 0.05}


@pytest.mark.parametrize("count", [4, 5, 11])
def test_two_documents_at_least_are_held_out(make_corpus: MakeCorpus, count: int) -> None:
    documents = without_splits(count)
    lowest = sorted(documents, key=lot)[:2]
    assert lot(lowest[1]) > 0.05, "the claim needs lots that would hold out fewer"
    assert held_out(make_corpus(documents)) == {document.id for document in lowest}


def test_documents_without_a_split_fill_up_a_small_valid_split(make_corpus: MakeCorpus) -> None:
    documents = [*without_splits(5), Document("named", "x", "valid")]
    lowest = min(documents[:5], key=lot)
    assert held_out(make_corpus(documents)) == {"named", lowest.id}


def test_who_is_held_out_depends_on_ids_alone(make_corpus: MakeCorpus) -> None:
    for count in (7, 300):
        documents = without_splits(count)
        chosen = held_out(make_corpus(documents))
        assert held_out(make_corpus(documents[::-1])) == chosen
        assert (
            held_out(make_corpus([Document(document.id, f"other {document.text}") for document in documents])) == chosen
        )
    longer = held_out(make_corpus(without_splits(900)))
    assert longer & {document.id for document in without_splits(300)} == chosen


def test_lots_are_uniform() -> None:
    lots = np.sort([lot(document) for document in without_splits(2000)])
    assert np.abs(lots - (np.arange(2000) + 0.5) / 2000).max() < 0.036, "Kolmogorov-Smirnov, level .01"


@pytest.mark.parametrize(("count", "got"), [(0, (0, 0)), (1, (1, 0)), (3, (1, 2))])
def test_a_corpus_of_too_few_documents_is_refused(
    make_corpus: MakeCorpus, own_cache: Path, count: int, got: tuple[int, int]
) -> None:
    assert refusal(make_corpus(without_splits(count))) == size_refusal(*got)
    assert not list(own_cache.glob("stores/*/"))


def test_named_splits_that_are_too_small_are_refused(make_corpus: MakeCorpus) -> None:
    named = [Document(str(n), "a b", name) for n, name in enumerate(["train"] * 5 + ["test"] * 5 + ["valid"])]
    assert refusal(make_corpus(named)) == size_refusal(5, 1)
    assert refusal(make_corpus(named[5:])) == size_refusal(0, 1)


def test_documents_without_a_token_do_not_count(make_corpus: MakeCorpus, own_cache: Path) -> None:
    documents = [Document(str(n), "a b", "train") for n in range(3)]
    documents += [Document("full", "a", "valid"), Document("blank", " \n\n ", "valid"), Document("none", "", "valid")]
    assert refusal(make_corpus(documents)) == size_refusal(3, 1)
    assert not list(own_cache.glob("stores/*/"))
    store = prepare(make_corpus([*documents, Document("more", "b", "valid")]), WORDS)
    assert store.splits["valid"].documents.tolist() == [0, 1, 2]


def test_the_second_start_reads_no_document(make_corpus: MakeCorpus) -> None:
    documents = without_splits(9)
    first = make_corpus(documents)
    made = prepare(first, WORDS)
    assert first.reads == 3
    again = make_corpus(documents)
    assert prepare(again, WORDS).fingerprint == made.fingerprint
    assert again.reads == 0


def test_another_tokenizer_or_corpus_is_another_store(make_corpus: MakeCorpus) -> None:
    documents = without_splits(9)
    stores = [
        prepare(make_corpus(documents), WORDS),
        prepare(make_corpus(documents), Words(vocab_size=9)),
        prepare(make_corpus(documents), WordPiece(vocab_size=100, lowercase=True)),
        prepare(make_corpus([*documents, Document("more", "w1")]), WORDS),
    ]
    assert len({store.folder for store in stores}) == len(stores)
    assert len({store.fingerprint for store in stores}) == len(stores)


def test_equal_content_has_an_equal_fingerprint_wherever_it_comes_from(
    make_corpus: MakeCorpus, own_cache: Path
) -> None:
    documents = without_splits(9)
    first = prepare(make_corpus(documents), WordPiece(vocab_size=100, lowercase=True))
    shutil.rmtree(own_cache)
    spaced = make_corpus([Document(document.id, f" {document.text}\n\n") for document in documents])
    assert prepare(spaced, WordPiece(vocab_size=100, lowercase=True)).fingerprint == first.fingerprint


@pytest.mark.parametrize("at", ["train", "valid"])
def test_any_change_of_a_split_changes_the_fingerprint(make_corpus: MakeCorpus, at: str) -> None:
    documents = [Document(f"{name}{n}", f"a b {n}\n\nc {name}", name) for name in ("train", "valid") for n in range(3)]
    texts = ["a b 1\n\nc 2", "a c 1\n\nb 2", "a b 1 c 2", "a b\n\n1 c 2"]  # other ids, other sentences
    changed = [[Document(d.id, text if d.id == f"{at}1" else d.text, d.split) for d in documents] for text in texts]
    assert len({prepare(make_corpus(one), WORDS).fingerprint for one in changed}) == len(texts)


NAMES = "[MASK] [UNK] [CLS] [SEP] [PAD]"


class Numbers:
    """A tokenizer whose words are their own ids."""

    def __init__(self, size: int) -> None:
        self.size = size

    def key(self) -> str:
        return f"numbers-{self.size}"

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        words = [*SPECIALS, *map(str, range(len(SPECIALS), self.size))]
        trained = Tokenizer(models.WordLevel({word: id_ for id_, word in enumerate(words)}, unk_token="[UNK]"))
        trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return trained


@pytest.mark.parametrize(("size", "dtype"), [(2**16, "<u2"), (2**16 + 1, "<u4")])
def test_ids_take_two_bytes_as_long_as_they_fit(make_corpus: MakeCorpus, size: int, dtype: str) -> None:
    documents = [
        Document(f"{name}{n}", f"{size - 1} 65535 7 {n}{name == 'train':d}", name)
        for name in ("train", "valid")
        for n in "12"
    ]
    store: TokenStore = prepare(make_corpus(documents), Numbers(size))
    ids = store.splits["valid"].ids
    assert ids.dtype == np.dtype(dtype)
    assert ids[:3].tolist() == [size - 1, 65535, 7]
    assert len(store.counts) == store.vocabulary.size == size


def test_the_name_of_a_special_token_in_a_text_is_text(make_corpus: MakeCorpus) -> None:
    documents = [Document(str(n), f"{'ab' * n} {NAMES} {NAMES.lower()} a[MASK]b", SPLITS[n % 2]) for n in range(1, 5)]
    texts = [document.text for document in documents if document.split == "valid"]
    for tokenizer in (*(WordPiece(vocab_size=200, lowercase=lower) for lower in (True, False)), WORDS):
        store = prepare(make_corpus(documents), tokenizer)
        assert [store.vocabulary.tokens.index(name) for name in SPECIALS] == [0, 1, 2, 3, 4]
        for split in store.splits.values():
            assert set(np.unique(split.ids)) & {0, 2, 3, 4} == set()
        tokens = [store.vocabulary.tokens[id_] for id_ in store.splits["valid"].ids]
        wanted = "[ MASK ] [ UNK ]" if getattr(tokenizer, "lowercase", False) is False else "[ mask ] [ unk ]"
        assert wanted in " ".join(tokens), texts


def test_documents_are_encoded_alike_one_by_one_and_together(make_corpus: MakeCorpus) -> None:
    """More documents than in one encoding call keep their order and their tokens."""
    documents = [
        Document(str(n), "\n\n".join(f"w{n} x{n % 5} y{i}" for i in range(n % 3 + 1)), SPLITS[n % 2])
        for n in range(700)
    ]
    store = prepare(make_corpus(documents), Words(vocab_size=2000))
    train = store.splits["train"]
    assert np.diff(train.documents).tolist() == [n % 3 + 1 for n in range(0, 700, 2)]
    first = train.ids[train.sentences[train.documents[:-1]]]
    assert [store.vocabulary.tokens[id_] for id_ in first] == [f"w{n}" for n in range(0, 700, 2)]
