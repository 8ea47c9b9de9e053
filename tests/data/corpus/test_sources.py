"""What is read from each source: the chapters in order, the author, and nothing that must not be used."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bertlab.config.compose import PACKAGE
from bertlab.config.errors import InputError
from bertlab.data.corpus import eltec
from bertlab.data.corpus.book import SHORT, Book, joined
from bertlab.data.corpus.git import fetched, mirrored
from bertlab.data.corpus.prose import parsed
from bertlab.data.corpus.sources import Source, listed
from tests.data.corpus.pages import ebook, novel, paragraph

Mirror = Callable[..., list[Source]]


def read(source: Source, folder: Path) -> list[Book]:
    return list(source.books(source.repository, mirrored(source.repository, folder)))


def test_a_novel_is_its_body_by_chapters(mirror: Mirror, tmp_path: Path) -> None:
    novels = {
        "level1/ENG2.xml": novel("Two", "Low, Ann (1801-1870)", 3, 4),
        "level1/ENG1.xml": novel("One", "Ox, B", 1),
    }
    (source,) = mirror(
        {"COST-ELTeC/ELTeC-eng": {**novels, "level1/ENG18460_Reynolds.xml": "<", "level2/ENG3.xml": "<"}}
    )
    one, two = read(source, tmp_path / "mirror")
    assert (two.id, two.title, two.author, two.source) == ("ELTeC-eng/ENG2", "Two", "Low, Ann", "ELTeC-eng")
    assert two.chapters == [[paragraph(3)], [paragraph(4)]]
    assert (one.id, one.author) == ("ELTeC-eng/ENG1", "Ox, B")


def test_divisions_are_read_at_the_innermost_and_nothing_between_them_is_lost() -> None:
    page = "<body><div><p>a</p><div><p>b</p><div><p>c</p></div></div><div><p>d</p></div></div><p>e</p></body>"
    found = [[p.text for p in unit.iter("p")] for unit in eltec.units(parsed(page.encode(), "page"))]
    assert [texts for texts in found if texts] == [["e"], ["a"], ["b"], ["c"], ["d"]]


@pytest.mark.parametrize("author", ["Forster, E. M. (1879-1970)", "West, Rebecca (1892-1983)", "Arlen, M. (1895-1956)"])
def test_a_novel_whose_author_died_after_1955_is_refused(author: str) -> None:
    with pytest.raises(InputError, match=r"X must be by an author who died by 1955, got .*; leave it out"):
        eltec.book("X", parsed(novel("N", author, 1).encode(), "page"))


def test_an_ebook_is_its_body_in_the_order_of_reading(mirror: Mirror, tmp_path: Path) -> None:
    files = ebook("Many", "Fox, A. B.", *range(1, 12), endnotes="<p>A note.</p>")
    (source,) = mirror({"standardebooks/a-b-fox_many": files})
    (book,) = read(source, tmp_path / "mirror")
    assert (book.id, book.title, book.author) == ("standardebooks/a-b-fox_many", "Many", "Fox, A. B.")
    assert book.chapters == [[paragraph(number)] for number in range(1, 12)]


def test_a_book_that_names_files_outside_of_it_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    files = ebook("Many", "Fox, A. B.", 1)
    opf = files["src/epub/content.opf"].replace("text/chapter-1.xhtml", "../../../secret")
    (source,) = mirror({"standardebooks/a-b-fox_many": {**files, "src/epub/content.opf": opf}})
    with pytest.raises(InputError, match=r"must name files of the book, got '\.\./\.\./\.\./secret'"):
        read(source, tmp_path / "mirror")


def test_short_chapters_are_joined_to_their_neighbours_and_no_text_is_lost() -> None:
    long = "x" * SHORT
    assert list(joined([["a"], [], [long], [long, "b"], ["c"], [long]])) == [["a", long], [long, "b", "c"], [long]]


def test_an_author_under_two_spellings_is_one() -> None:
    spelled = ("Wells, H. G.", "Wells, Herbert George", "WELLS, H.G. [x]", "wells")
    assert {Book("", "", author, "", "", []).family for author in spelled} == {"wells"}
    assert Book("", "", "Baring-Gould, S.", "", "", []).family == "baringgould"


def test_a_mirror_without_the_commit_is_refused_by_name(mirror: Mirror, tmp_path: Path) -> None:
    (source,) = mirror({"standardebooks/a": ebook("A", "B", 1)})
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(
            InputError, match=rf"mirror must hold .*standardebooks/a with the commit {source.repository.commit}"
        ):
            mirrored(source.repository, folder)


def test_what_was_fetched_is_not_fetched_again(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a host on this disk; an interrupted fetch, a folder without the commit, is repeated."""
    (source,) = mirror({"standardebooks/a": ebook("A", "B, C", 1)})
    monkeypatch.setattr("bertlab.data.corpus.git.HOST", f"file://{tmp_path / 'mirror'}")
    place = source.repository.place(tmp_path / "fetched")
    assert not source.repository.is_in(tmp_path / "fetched")
    (place / "objects").mkdir(parents=True)
    tree = fetched(source.repository, place)
    assert source.repository.is_in(tmp_path / "fetched")
    monkeypatch.setattr("bertlab.data.corpus.git.HOST", f"file://{tmp_path / 'gone'}")
    assert fetched(source.repository, place) == tree
    assert next(source.books(source.repository, tree)).author == "B, C"


def test_a_fetch_that_fails_says_so_in_one_line(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = mirror({"standardebooks/a": ebook("A", "B", 1)})
    monkeypatch.setattr("bertlab.data.corpus.git.HOST", f"file://{tmp_path / 'gone'}")
    with pytest.raises(InputError, match=r"git fetch must work for .*; type the same again to go on") as caught:
        fetched(source.repository, source.repository.place(tmp_path / "fetched"))
    assert "\n" not in str(caught.value)


def test_every_listed_repository_has_a_commit_and_its_line_of_attribution() -> None:
    page = (PACKAGE.parent / "docs" / "books.md").read_text("utf-8")
    sources = listed()
    assert len({source.repository.name for source in sources}) == len(sources) > 70
    for source in sources:
        assert len(source.repository.commit) == 40
        assert source.repository.name in page
        assert source.repository.commit in page
    for file, why in eltec.LEFT_OUT.items():
        assert f"{file}" in page, why
