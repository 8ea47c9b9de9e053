"""The same text twice: paragraphs and chapters that stood in an earlier book are left out.

Exact paragraphs are compared as they are; chapters by runs of eight words, of which one in sixteen is looked at.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from zlib import crc32

from bertlab.corpus.book import Book, Chapter

LONG = 60  # characters from which an equal paragraph is no coincidence
RUN, ONE_IN = 8, 16  # words of a run; runs that start with a word whose hash is divisible by this are looked at
MOST = 0.3  # share of a chapter's runs that may have been seen before
LEAST = 400  # characters of a chapter that is worth keeping


def told_apart(books: Iterable[Book]) -> Iterator[Book]:
    """Yield the books without what is in those before them; a book of which nothing is left goes."""
    lines, runs = set[int](), set[int]()
    for book in books:
        chapters = [new for chapter in book.chapters if (new := _new(chapter, lines, runs))]
        if chapters:
            yield replace(book, chapters=chapters)


def _new(chapter: Chapter, lines: set[int], runs: set[int]) -> Chapter:
    """Return the chapter without paragraphs that are known, nothing of one that is; remember what is returned."""
    kept = []
    for paragraph in chapter:
        line = _hash(paragraph)
        if len(paragraph) < LONG or line not in lines:
            kept.append(paragraph)
            lines.add(line)
    own = set(sampled_runs(" ".join(kept)))
    if sum(map(len, kept)) < LEAST or len(own & runs) > MOST * len(own):
        return []
    runs |= own
    return kept


def sampled_runs(text: str) -> Iterator[int]:
    """Yield the hash of every run that is looked at."""
    words = re.findall(r"\w+", text.lower())
    for place, word in enumerate(words[: len(words) - RUN + 1]):
        if crc32(word.encode()) % ONE_IN == 0:
            yield _hash(" ".join(words[place : place + RUN]))


def _hash(text: str) -> int:
    """Return 64 bits, the same on every machine."""
    data = text.encode()
    return crc32(data) << 32 | crc32(data[::-1])
