"""Books of Standard Ebooks, in XHTML: a repository is a book, a file of its body is a chapter."""

import posixpath
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from bertlab.config.errors import InputError
from bertlab.data.corpus.book import Book, joined
from bertlab.data.corpus.git import Repository, Tree
from bertlab.data.corpus.prose import name, paragraphs, parsed, types

PACKAGE = "src/epub/content.opf"  # lists the files in reading order
LICENSE = "text: public domain in the US; edition: CC0 1.0"
NOTES = "text/endnotes.xhtml"  # not part of the body, and in one book larger than what is fetched
HREF = re.compile(r"text/[\w.-]+\.xhtml")
DROPPED = {"header", "hgroup", "h1", "h2", "h3", "h4", "h5", "h6", "table", "figure", "img", "aside", "footer"}
VERSE = {"z3998:poem", "z3998:verse", "z3998:song", "z3998:hymn", "z3998:lyrics", "noteref", "endnote", "epigraph"}


def books(repository: Repository, tree: Tree) -> Iterator[Book]:
    """Yield the one book of a repository."""
    ((_, data),) = tree.read([PACKAGE])
    package = parsed(data, f"{repository.name}: {PACKAGE}")
    chapters = []
    for path, page in tree.read(spine(package, repository.name)):
        root = parsed(page, f"{repository.name}: {path}")
        body = next(element for element in root.iter() if name(element) == "body")
        if "bodymatter" in types(body):
            chapters.append(list(paragraphs(body, DROPPED, VERSE)))
    title = next("".join(element.itertext()) for element in package.iter() if element.get("id") == "title")
    yield Book(repository.name, title, author(package), "StandardEbooks", LICENSE, list(joined(chapters)))


def spine(package: Element, place: str) -> list[str]:
    """Return the paths of the files except notes, in reading order. Raises InputError for one outside the book."""
    files = {element.get("id"): element.get("href", "") for element in package.iter() if name(element) == "item"}
    hrefs = [files[element.get("idref")] for element in package.iter() if name(element) == "itemref"]
    for href in hrefs:
        if not HREF.fullmatch(href):
            raise InputError(f"{place}: {PACKAGE} must name files of the book, got {href!r}; fetch it again")
    return [posixpath.join(posixpath.dirname(PACKAGE), href) for href in hrefs if href != NOTES]


def author(package: Element) -> str:
    """Return the first author, family name first."""
    return next(
        (element.text or "").strip()
        for element in package.iter()
        if element.get("property") == "file-as" and re.fullmatch("#author(-1)?", element.get("refines", ""))
    )
