"""The corpus: the same bytes from the same sources, no repetitions, and no author in two splits."""

import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertlab.commands import corpus as command
from bertlab.config.errors import InputError
from bertlab.data.books import FILE, Books
from bertlab.data.corpus import books as room
from bertlab.data.corpus.alike import told_apart
from bertlab.data.corpus.book import Book
from bertlab.data.corpus.books import made, records, splits, write
from bertlab.data.corpus.git import mirrored
from bertlab.data.corpus.sources import Source
from bertlab.data.prepare import prepare
from bertlab.data.tokenizer.wordpiece import WordPiece
from tests.data.corpus.pages import ebook, family, novel, paragraph

Mirror = Callable[..., list[Source]]


def book(id_: str, author: str, *chapters: list[str]) -> Book:
    return Book(id_, id_.upper(), author, "made up", "CC0", list(chapters))


LIBRARY = [
    book(f"b{number}", f"{family(number)}, A.", [paragraph(number)], [paragraph(number + 100)]) for number in range(90)
]


def test_every_chapter_is_a_document_with_all_that_is_known_of_it() -> None:
    listed = records([book("b", "Fox, A.", ["One.", "Two."], ["Three."])])
    record = next(record for record in listed if record["id"] == "b/1")
    assert list(record) == ["id", "title", "author", "text", "split", "source", "license"]
    assert record["text"] == "One.\n\nTwo."
    assert (record["title"], record["author"], record["source"], record["license"]) == (
        "B",
        "Fox, A.",
        "made up",
        "CC0",
    )


def test_no_author_is_in_two_splits_and_every_split_has_some() -> None:
    twins = [book(f"c{number}", f"{family(number).upper()}, Andrew", [paragraph(number + 500)]) for number in range(90)]
    listed = records([*LIBRARY, *twins])
    found: dict[str, set[str]] = {}
    for record in listed:
        found.setdefault(record["author"].partition(",")[0].casefold(), set()).add(record["split"])
    assert all(len(split) == 1 for split in found.values())
    assert {split for each in found.values() for split in each} == {"train", "valid", "test"}
    order = [record["split"] for record in listed]
    assert order == sorted(order, key=("train", "valid", "test").index)
    ids = [record["id"] for record in listed if record["split"] == "train"]
    assert ids != sorted(ids), "the first ones are no sample of one book"


def test_an_author_of_much_of_the_text_is_always_trained_on() -> None:
    held_out = next(family for family, split in splits(LIBRARY).items() if split != "train")
    much = book("much", held_out, [paragraph(number) for number in range(200, 250)])
    assert splits([*LIBRARY, much])[held_out] == "train"


def test_text_of_an_earlier_book_is_left_out() -> None:
    one, again = book("one", "A", [paragraph(1)], [paragraph(2)]), [paragraph(2), "A short line."]
    nearly = [paragraph(1).replace("ship", "boat", 2) + " And so on."]
    other = book("other", "B", again, nearly, [paragraph(3), "A short line.", paragraph(1)])
    first, second = told_apart([one, other])
    assert first == one
    assert second.chapters == [[paragraph(3), "A short line."]]
    assert [each.id for each in told_apart([one, book("copy", "C", *one.chapters)])] == ["one"]


def library(mirror: Mirror) -> list[Source]:
    novels = {f"level1/ENG{number}.xml": novel(f"N{number}", f"{family(number)}, A", number) for number in range(70)}
    ebooks = {f"standardebooks/e{number}": ebook(f"E{number}", f"{family(number)}, B", number) for number in (140, 141)}
    return mirror({"COST-ELTeC/ELTeC-eng": novels, **ebooks})


def test_the_same_sources_give_the_same_bytes_in_any_folder(mirror: Mirror, tmp_path: Path) -> None:
    sources, folder = library(mirror), tmp_path / "mirror"
    found = []
    for name in ("one", "two"):
        books = (book for one in sources for book in one.books(one.repository, mirrored(one.repository, folder)))
        sha256 = write(books, tmp_path / name)
        found.append((sha256, lzma.decompress((tmp_path / name).read_bytes())))
    assert found[0] == found[1]
    assert [json.loads(line)["license"] for line in found[0][1].splitlines()].count("") == 0


def test_a_corpus_of_another_hash_is_refused_and_leaves_nothing(
    mirror: Mirror, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        InputError, match=r"the corpus must have the SHA-256 f{64}, got [0-9a-f]{64}; .* report"
    ) as caught:
        made(library(mirror), lambda source: mirrored(source.repository, tmp_path / "mirror"), "f" * 64)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob(FILE))


@pytest.fixture
def pinned(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """The invented library instead of the real one, with its hash as the expected one, and a separate cache."""
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    sources = library(mirror)
    books = (
        book for one in sources for book in one.books(one.repository, mirrored(one.repository, tmp_path / "mirror"))
    )
    sha256 = write(books, tmp_path / "expected")
    for place in ("bertlab.data.books", "bertlab.data.corpus.books"):
        monkeypatch.setattr(f"{place}.SHA256", sha256)
    monkeypatch.setattr(command, "listed", lambda: sources)
    monkeypatch.setattr(room.made, "__defaults__", (sha256,))
    return sources


def arguments(**given: Any) -> dict[str, Any]:
    return {**command.DEFAULTS, **given}


@pytest.mark.usefixtures("pinned")
def test_the_command_builds_from_a_mirror_and_data_books_reads_it(tmp_path: Path) -> None:
    said = command.build(arguments(mirror=str(tmp_path / "mirror")))
    assert said.endswith("data=books")
    documents = list(Books().documents())
    assert len(documents) == 72
    assert {document.source for document in documents} == {"ELTeC-eng", "StandardEbooks"}
    assert all(document.split and document.licence for document in documents)
    store = prepare(Books(), WordPiece(vocab_size=300, lowercase=True))
    assert store.facts["content"] == Books().facts()["content"]


def test_nothing_is_fetched_unless_that_is_agreed_to(
    pinned: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bertlab.data.corpus.git.HOST", f"file://{tmp_path / 'mirror'}")
    for answer in ("", "n", "perhaps", EOFError):

        def answered(_: str, answer: Any = answer) -> str:
            if answer is EOFError:
                raise EOFError
            return str(answer)

        monkeypatch.setattr("builtins.input", answered)
        with pytest.raises(InputError, match=r"once that is agreed to, got no; say yes=true"):
            command.build(arguments())
        assert not (tmp_path / "cache" / "repositories").exists()
    said = capsys.readouterr().out
    assert "from 3 public git repositories" in said
    assert "about 3 MB" in said
    assert "CC0 1.0" in said
    with pytest.raises(InputError, match="yes must be true or false, got maybe"):
        command.build(arguments(yes="maybe"))
    assert command.build(arguments(yes="true")).endswith("data=books")
    assert all(source.repository.is_in(tmp_path / "cache" / "repositories") for source in pinned)
    monkeypatch.setattr("bertlab.data.corpus.git.HOST", f"file://{tmp_path / 'gone'}")
    assert command.build(arguments()).endswith("data=books"), "all is there: nothing to ask"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "the corpus must be books, got nothing; type bertlab corpus books"),
        (("novels",), "the corpus must be books, got novels; type bertlab corpus books"),
        (("books", "--yes"), "arguments must be key=value with a known key, got --yes; did you mean yes=...?"),
        (("books", "mirror=/nowhere"), "mirror must hold /nowhere/"),
    ],
)
def test_the_command_refuses_in_one_line(words: tuple[str, ...], line: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bertlab.corpus", *words],
        env={"BERTLAB_CACHE": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"bertlab: {line}")
    assert done.stderr.count("\n") == 1
