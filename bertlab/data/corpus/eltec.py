"""The English novels of ELTeC, in TEI: a file is a novel, its innermost divisions are chapters.

English Novel Corpus (ELTeC-eng), ed. Lou Burnard, version 1.0.1, 2021, doi:10.5281/zenodo.4662490.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from bertlab.config.errors import InputError
from bertlab.data.corpus.book import Book, joined
from bertlab.data.corpus.git import Repository, Tree
from bertlab.data.corpus.prose import name, paragraphs, parsed

FOLDER = "level1"
LICENSE = "text: public domain; markup: CC BY 4.0"
LATEST = 1955  # year of death: then public domain in countries with a term of 70 years
LEFT_OUT = {  # file -> reason
    "ENG18460_Reynolds": "a file of more than 4 MiB",
    "ENG18970_Phillpots": "died in 1960",
    "ENG19100_Forster": "died in 1970",
    "ENG19180_Lewis": "died in 1957",
    "ENG19181_West": "died in 1983",
    "ENG19201_Arlen": "died in 1956",
}
DROPPED = {"head", "note", "ref", "pb", "milestone", "gap", "figure", "graphic", "trailer", "label", "l", "lg", "bibl"}


def books(repository: Repository, tree: Tree) -> Iterator[Book]:
    """Yield the novels in the order of their files."""
    paths = [path for path in tree.paths(FOLDER) if path.endswith(".xml")]
    wanted = [path for path in paths if path.rpartition("/")[2].removesuffix(".xml") not in LEFT_OUT]
    for path, data in tree.read(wanted):
        yield book(path.rpartition("/")[2].removesuffix(".xml"), parsed(data, f"{repository.name}: {path}"))


def book(id_: str, root: Element) -> Book:
    """Return the novel of one file. Raises InputError for an author who may still be in copyright."""
    statement = next(element for element in root.iter() if name(element) == "titleStmt")
    said = {name(child): " ".join("".join(child.itertext()).split()) for child in reversed(list(statement))}
    years = re.search(r"\((?:\D*\d{3,4})?\D*(\d{4})\D*\)", said["author"])
    if years and int(years[1]) > LATEST:
        raise InputError(f"{id_} must be by an author who died by {LATEST}, got {said['author']}; leave it out")
    author = said["author"].partition("(")[0].strip()
    title = re.sub(r"\s*:\s*ELTeC edition$", "", said["title"])
    bodies = [element for element in root.iter() if name(element) == "body"]
    chapters = (list(paragraphs(unit, DROPPED)) for body in bodies for unit in units(body))
    return Book(f"ELTeC-eng/{id_}", title, author, "ELTeC-eng", LICENSE, list(joined(chapters)))


def units(element: Element) -> Iterator[Element]:
    """Yield the innermost divisions; text next to them in an outer division is a division of its own."""
    inner = [child for child in element if name(child) == "div"]
    if not inner:
        yield element
        return
    beside = Element(element.tag)
    beside.extend(child for child in element if name(child) != "div")
    yield beside
    for child in inner:
        yield from units(child)
