"""A corpus that another program changes during reading gives one error line and leaves no store."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.errors import InputError
from bertlab.data import prepare as module
from bertlab.data.documents import Document
from bertlab.data.prepare import beside, prepare
from bertlab.data.text import Text
from bertlab.data.tokenizer.wordpiece import WordPiece
from bertlab.data.tokenizer.words import Words

TEXT = "\n\n".join(f"The captain of ship {number} finds the harbour. A sailor mends it." for number in range(60))
CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "appended": (lambda path: path.write_text(f"{TEXT}\n\nOne more.\n\nAnd another."), "a.txt, which changed"),
    "truncated": (lambda path: path.write_text(TEXT[: len(TEXT) // 2]), "a.txt, which changed"),
    "emptied": (lambda path: path.write_text(""), "a.txt, which changed"),
    "replaced": (lambda path: (path.with_name("b"), path.with_name("b").write_text(TEXT))[0].replace(path), "changed"),
    "of the same length": (lambda path: path.write_text(TEXT.replace("captain", "steward")), "a.txt, which changed"),
    "broken": (lambda path: path.write_bytes(b"\xff" + TEXT.encode()), "a.txt, which changed"),
    "deleted": (lambda path: path.unlink(), "a.txt, which was removed"),
    "joined": (lambda path: path.with_name("b.txt").write_text(TEXT), "b.txt, which is new"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("moment", ["choose_splits", "_training_text", "encode", "_soundness"])
@pytest.mark.parametrize(("change", "told"), CHANGES.values(), ids=CHANGES.keys())
def test_a_file_that_changes_before_it_is_read_is_one_line(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], Any], told: str, moment: str
) -> None:
    path = tmp_path / "text" / "a.txt"
    path.parent.mkdir()
    path.write_text(TEXT)
    plain = getattr(module, moment)

    def late(*given: Any) -> Any:
        change(path)
        return plain(*given)

    monkeypatch.setattr(module, moment, late)
    with pytest.raises(InputError) as caught:
        prepare(Text(f"{path.parent}/*.txt"), WordPiece(vocab_size=200, lowercase=True))
    line = str(caught.value)
    assert line.startswith("data.files must stay as they are while they are read, got ")
    assert told in line
    assert "; type the same command again when " in line
    assert not list(cache.glob("stores/*/store.json")), "no store is made of two texts"
    monkeypatch.undo()


@pytest.mark.parametrize("tokenizer", [WordPiece(vocab_size=200, lowercase=True), Words(vocab_size=200)])
def test_a_file_that_grows_while_it_is_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Any
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    passes = iter(range(9))
    plain = Text._documents

    def growing(self: Text) -> Iterator[Document]:
        now = next(passes)
        for number, document in enumerate(plain(self)):
            yield document
            if now == 1 and number == 3:
                with path.open("a") as file:
                    file.write("\n\nOne more.\n\nAnd another.")

    monkeypatch.setattr(Text, "_documents", growing)
    with pytest.raises(InputError, match=r"^data\.files must stay as they are .*a\.txt, which changed; type the same"):
        prepare(Text(str(path)), tokenizer)


def test_a_corpus_that_says_nothing_of_it_is_refused_all_the_same(make_corpus: Callable[..., Any]) -> None:
    corpus = make_corpus([])
    line = r"^data=listed and its tokenizer must stay as they are while they are read, got another content; type"
    for known, read in (("abc", "ab"), ("ab", "abc")):
        with pytest.raises(InputError, match=line):
            list(beside(known, iter(read), corpus))
    assert list(beside("ab", iter("cd"), corpus)) == [("a", "c"), ("b", "d")]


def test_a_text_that_stays_is_read_as_often_as_need_be(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    corpus = Text(str(path))
    assert len(list(corpus.documents())) == 60
    key = corpus.key()
    assert prepare(corpus, Words(vocab_size=200)).facts["content"] == key == corpus.key()
    path.write_text(f"{TEXT} More.")
    assert corpus.key() != key, "a new key is of the file as it is now"
    assert len(list(corpus.documents())) == 60
