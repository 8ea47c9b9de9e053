"""What both sources make of a file: a book whose chapters are lists of paragraphs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SHORT = 1500  # characters; a shorter chapter is joined to the one before it
Chapter = list[str]  # paragraphs


@dataclass(frozen=True)
class Book:
    """One book; `author` is written as libraries do, family name first."""

    id: str
    title: str
    author: str
    source: str
    license: str
    chapters: list[Chapter]

    @property
    def family(self) -> str:
        """The family name, by which authors are told apart, so that one under two spellings is never two."""
        return "".join(filter(str.isalpha, self.author.partition(",")[0].partition("[")[0])).casefold()

    @property
    def length(self) -> int:
        """Characters of all paragraphs."""
        return sum(map(_length, self.chapters))


def joined(chapters: Iterable[Chapter]) -> Iterator[Chapter]:
    """Yield the chapters, short ones as a part of the one before them; those without text are left out."""
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
