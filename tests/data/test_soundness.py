"""What a corpus must contain for valid scores."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.errors import InputError
from bertlab.data.documents import Document, likeness
from bertlab.data.prepare import prepare
from bertlab.data.soundness import percent
from bertlab.data.splits import choose_splits
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer.byte_bpe import ByteBpe
from bertlab.data.tokenizer.wordpiece import WordPiece
from bertlab.data.tokenizer.words import Words

MakeCorpus = Callable[..., Any]
PIECES = WordPiece(vocab_size=300, lowercase=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path))


def texts(letters: str, count: int, seed: int = 0) -> list[str]:
    """Make texts of four sentences, of words of five letters."""
    drawn = random.Random(seed)
    words = ["".join(drawn.choices(letters, k=5)) for _ in range(16 * count)]
    return [" ".join(f"{' '.join(words[at : at + 4])}." for at in range(16 * n, 16 * n + 16, 4)) for n in range(count)]


def corpus_of(train: list[str], valid: list[str]) -> list[Document]:
    named = [("train", text) for text in train] + [("valid", text) for text in valid]
    return [Document(str(number), text, split) for number, (split, text) in enumerate(named)]


def refusal(corpus: Any, tokenizer: Any = PIECES) -> str:
    with pytest.raises(InputError) as caught:
        prepare(corpus, tokenizer)
    return str(caught.value)


def test_a_sound_corpus_says_so(make_corpus: MakeCorpus) -> None:
    store: TokenStore = prepare(make_corpus(corpus_of(texts("abcdefgh", 20), texts("abcdefgh", 4, 1))), PIECES)
    assert store.facts["unknown"] == "0% of the training tokens and 0% of the held-out tokens are [UNK]"
    assert store.facts["overlap"] == (
        "0% of the held-out text in whole documents and 0% in sentences stands in the training text as well; "
        "0 documents repeat the text of another one"
    )
    assert "warning" not in store.facts


def test_the_share_of_unknown_tokens_is_counted_and_warned_of(make_corpus: MakeCorpus) -> None:
    """Of five words a held-out sentence, one is not in the training text."""
    train, valid = ["a b c d e.", "b c d e a."], ["c d e a x.", "d e a b y."]
    facts = prepare(make_corpus(corpus_of(train, valid)), PIECES).facts
    assert facts["unknown"] == "0% of the training tokens and 16.7% of the held-out tokens are [UNK]"
    assert facts["warning"].startswith("16.7% of the held-out tokens are [UNK]")


@pytest.mark.parametrize("tokenizer", [PIECES, Words(vocab_size=3000)])
def test_one_very_long_word_is_refused_by_its_letters(make_corpus: MakeCorpus, tokenizer: Any) -> None:
    """It has few tokens at any length: 20 for 200 KB."""
    for long in ("a" * 200_000, "0f" * 100_000, "ก" * 200_000):
        train, valid = texts("ab", 40), texts("ab", 4, 1)
        documents = corpus_of([*train, long], valid)
        refused = refusal(make_corpus(documents), tokenizer)
        assert refused.startswith("data=listed must have at most 50% of its training letters in words of more than")
        assert "more than 100 letters, which are [UNK], got 98." in refused
        assert "; put spaces between the words of the text, or choose a tokenizer that reads words of any" in refused
        refused = refusal(make_corpus(corpus_of(train, [*valid, long])), tokenizer)
        assert refused.startswith("data=listed must have at most 50% of its held-out letters in words of more than")


def test_a_long_word_in_more_text_is_warned_of(make_corpus: MakeCorpus) -> None:
    """A word of 1,000 letters is one token, which the share of the tokens alone would not show."""
    train = [*texts("abcdefgh", 40), f"a {'abcdefgh' * 125} b"]
    facts = prepare(make_corpus(corpus_of(train, texts("abcdefgh", 4, 1))), PIECES).facts
    assert facts["unknown"].startswith(
        "less than 0.1% of the training tokens and 0% of the held-out tokens are [UNK], 22."
    )
    assert facts["unknown"].endswith("% and 0% of the letters in [UNK] of more than 100 letters")
    assert facts["warning"].startswith("22.")
    assert "of the training letters are in words of more than 100 letters, which are [UNK]" in facts["warning"]


def test_words_of_any_length_are_read_by_a_tokenizer_of_bytes(make_corpus: MakeCorpus) -> None:
    train = [*texts("abcdefgh", 40), "abcdefgh" * 5000]
    documents = make_corpus(corpus_of(train, texts("abcdefgh", 4, 1)))
    facts = prepare(documents, ByteBpe(vocab_size=300, lowercase=True)).facts
    assert facts["unknown"] == "0% of the training tokens and 0% of the held-out tokens are [UNK]"


def test_text_in_letters_that_training_has_not_is_refused(make_corpus: MakeCorpus) -> None:
    refused = refusal(make_corpus(corpus_of(texts("abcdefgh", 20), texts("αβγδεζ", 4))))
    assert refused.startswith("data=listed must have at most 50% [UNK] among its held-out tokens, got 80.0%: ")


def test_more_letters_than_an_alphabet_holds_are_refused(make_corpus: MakeCorpus) -> None:
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
    assert "among its training tokens, got " in refusal(make_corpus(corpus_of(texts(many, 100), texts(many, 4, 1))))


def test_text_without_a_word_is_refused_with_the_next_step(make_corpus: MakeCorpus) -> None:
    documents = corpus_of(*([f"{number:0101d}" for number in range(start, start + 3)] for start in (0, 3)))
    assert refusal(make_corpus(documents)).startswith("tokenizer=wordpiece must find words of at most 100 letters")
    assert "got 100.0%" in refusal(make_corpus(documents), Words(vocab_size=100))


def test_held_out_documents_of_the_training_text_are_refused(make_corpus: MakeCorpus) -> None:
    known = texts("abcdefgh", 6)
    new = [" ".join(f"{' '.join(one.split()[::-1])}." for one in text.rstrip(".").split(". ")) for text in known]
    numbered = [f"{place}. {text.capitalize()}" for place, text in enumerate(known)]
    for copies in (known, [text.upper().replace(" ", "\n") for text in known], numbered):
        refused = refusal(make_corpus(corpus_of(known, copies[:4] + new[:3])))
        assert refused.startswith(
            "data=listed must hold out text that training does not show, at most 50% of it copied"
        )
    facts = prepare(make_corpus(corpus_of(known, known[:3] + new[:5])), PIECES).facts
    assert facts["warning"].startswith("37.5% of the held-out text in whole documents and 37.5% in sentences stands in")
    assert facts["overlap"].endswith("; 3 documents repeat the text of another one")


def test_sentences_of_several_training_documents_are_no_copy_of_one(make_corpus: MakeCorpus) -> None:
    known = texts("abcdefgh", 8)
    mixed = [" ".join(f"{text.split('. ')[place].rstrip('.')}." for text in known[:4]) for place in range(4)]
    facts = prepare(make_corpus(corpus_of(known, mixed)), PIECES).facts
    assert facts["overlap"].startswith("0% of the held-out text in whole documents and 100.0% in sentences")
    assert "learnt by heart" in facts["warning"]


def test_documents_with_one_text_are_in_one_split_with_any_ids(make_corpus: MakeCorpus) -> None:
    """Each of 60 texts is there three times; random draws by id would separate most of the held-out copies."""
    documents = [
        Document(f"{copy}-{n}", text.upper() if copy else text)
        for n, text in enumerate(texts("abcdefgh", 60))
        for copy in range(3)
    ]
    names = choose_splits(make_corpus(documents)).names
    held_out = {likeness(one.text) for one, name in zip(documents, names, strict=True) if name == "valid"}
    assert held_out
    assert [name == "valid" for name in names] == [likeness(one.text) in held_out for one in documents]
    assert choose_splits(make_corpus(documents)).repeats == 120


def test_a_repeated_text_goes_where_the_source_puts_it(make_corpus: MakeCorpus) -> None:
    one, other, *more = texts("abcdefgh", 40)
    documents = [Document("a", one, "valid"), Document("b", other, "train"), Document("c", other, "valid")]
    documents += [Document(f"{n}", text) for n, text in enumerate([one, other, *more])]
    names = choose_splits(make_corpus(documents)).names
    assert names[:5] == ["valid", "train", "valid", "valid", "train"]


def test_one_text_alone_is_refused(make_corpus: MakeCorpus) -> None:
    refused = refusal(make_corpus([Document(str(number), "a b. c d.") for number in range(60)]))
    assert "(60 of them have the text of another one and stay in its split)" in refused


def test_likeness_knows_words_and_not_how_they_are_written() -> None:
    assert likeness("Straße  und\tFluß") == likeness("STRASSE\nund fluss ")
    assert likeness("ﬁne é") == likeness("fine e\u0301")
    assert len({likeness(text) for text in ("a b", "ab", "b a", "a b.", "")}) == 5


@pytest.mark.parametrize(("share", "words"), [(0, "0%"), (1e-5, "less than 0.1%"), (0.0512, "5.1%"), (1, "100.0%")])
def test_little_is_not_none(share: float, words: str) -> None:
    assert percent(share) == words
