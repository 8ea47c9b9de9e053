"""The public corpus of books: the facts of data=books, and the error if the books are missing."""

from pathlib import Path

import pytest

from bertlab.config.errors import InputError
from bertlab.data.books import FILE, KIND, SHA256, Books
from bertlab.data.prepare import prepare
from bertlab.data.tokenizer.wordpiece import WordPiece


def test_without_its_corpus_data_books_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    for ask in (lambda: next(Books().documents()), lambda: prepare(Books(), WordPiece(vocab_size=300, lowercase=True))):
        with pytest.raises(InputError, match=r"python -m bertlab\.corpus books") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_a_corpus_that_was_changed_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    entry = tmp_path / "cache" / KIND / SHA256[:16]
    entry.mkdir(parents=True)
    (entry / FILE).write_bytes(b"other books")
    with pytest.raises(InputError, match=r"python -m bertlab\.corpus books"):
        next(Books().documents())


def test_its_key_and_facts_are_those_of_the_stated_hash_without_a_look_at_the_file() -> None:
    assert len(SHA256) == 64
    assert Books().facts()["content"] == SHA256
    assert "CC BY 4.0" in Books().facts()["licence"]
    assert Books().key() == Books().key()
