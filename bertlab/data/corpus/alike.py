"""Duplicate text: removes paragraphs and chapters that occur in an earlier book.

Paragraphs are compared exactly; chapters by sequences of eight words, of which one in sixteen is checked.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from zlib import crc32

from bertlab.data.corpus.book import Book, Chapter

LONG = 60  # characters; equal paragraphs of this length are no coincidence
RUN, ONE_IN = 8, 16  # words of a sequence; those whose first word's hash is divisible by ONE_IN are checked
MOST = 0.3  # largest share of a chapter's sequences that may have occurred before
LEAST = 400  # least characters of a chapter


def told_apart(books: Iterable[Book]) -> Iterator[Book]:
    """Yield the books without text of earlier ones; a book with no text left is dropped."""
    lines, runs = set[int](), set[int]()
    for book in books:
        chapters = [new for chapter in book.chapters if (new := _new(chapter, lines, runs))]
        if chapters:
            yield replace(book, chapters=chapters)


def _new(chapter: Chapter, lines: set[int], runs: set[int]) -> Chapter:
    """Return the chapter without known paragraphs, or nothing if it is known; remember the result."""
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
    """Yield the hash of every checked sequence."""
    words = re.findall(r"\w+", text.lower())
    for place, word in enumerate(words[: len(words) - RUN + 1]):
        if crc32(word.encode()) % ONE_IN == 0:
            yield _hash(" ".join(words[place : place + RUN]))


def _hash(text: str) -> int:
    """Return 64 bits, equal on every machine."""
    data = text.encode()
    return crc32(data) << 32 | crc32(data[::-1])
