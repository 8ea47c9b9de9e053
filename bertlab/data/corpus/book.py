"""A book from either source: chapters, which are lists of paragraphs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SHORT = 1500  # characters; a shorter chapter is joined to the one before it
Chapter = list[str]  # paragraphs


@dataclass(frozen=True)
class Book:
    """One book; `author` has the family name first, as in library catalogues."""

    id: str
    title: str
    author: str
    source: str
    license: str
    chapters: list[Chapter]

    @property
    def family(self) -> str:
        """The family name; it identifies an author, so that two spellings of one name are one author."""
        return "".join(filter(str.isalpha, self.author.partition(",")[0].partition("[")[0])).casefold()

    @property
    def length(self) -> int:
        """Characters of all paragraphs."""
        return sum(map(_length, self.chapters))


def joined(chapters: Iterable[Chapter]) -> Iterator[Chapter]:
    """Yield the chapters; short ones are joined to the previous one, and empty ones are dropped."""
    before: Chapter = []
    for chapter in chapters:
        if before and chapter and min(_length(before), _length(chapter)) < SHORT:
            before = before + chapter
        elif chapter:
            if before:
                yield before
            before = chapter
    if before:
        yield before


def _length(chapter: Chapter) -> int:
    return sum(map(len, chapter))
