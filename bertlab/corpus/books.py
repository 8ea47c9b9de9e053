"""Books -> one file: a chapter is a document, and authors whose books are held out have no other book in it."""

import hashlib
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bertlab.config.cache import cached
from bertlab.config.errors import InputError
from bertlab.corpus.alike import told_apart
from bertlab.corpus.book import Book
from bertlab.corpus.git import Tree
from bertlab.corpus.sources import Source
from bertlab.data.books import FILE, KIND, SHA256

Record = dict[str, str]
HELD_OUT = {"valid": 0.05, "test": 0.09}  # lots below these, in this order
LARGEST = 0.02  # of the text: who wrote more is trained on, so that no split hangs on one author


def made(sources: Sequence[Source], tree: Callable[[Source], Tree], sha256: str = SHA256) -> Path:
    """Return the corpus of these sources, from the cache or built now. Raises InputError for any other than it was."""

    def build(folder: Path) -> None:
        trees = [tree(source) for source in sources]
        books = (
            book for source, of in zip(sources, trees, strict=True) for book in source.books(source.repository, of)
        )
        found = write(books, folder / FILE)
        if found != sha256:
            raise InputError(
                f"the corpus must have the SHA-256 {sha256}, got {found}; the sources were all there, so please report "
                "it with the versions of python and bertlab"
            )

    return cached(KIND, sha256[:16], build) / FILE


def write(books: Iterable[Book], path: Path) -> str:
    """Write the corpus of these books and return the SHA-256 (hex) of what it unpacks to."""
    total = hashlib.sha256()
    with lzma.open(path, "wb", preset=6) as file:
        for record in records(list(told_apart(books))):
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            total.update(line)
            file.write(line)
    return total.hexdigest()


def records(books: list[Book]) -> list[Record]:
    """Return a record for each chapter: by split, and within one in an order that says nothing of the books."""
    split = splits(books)
    listed = [record for book in books for record in _chapters(book, split[book.family])]
    places = ("train", "valid", "test")
    return sorted(listed, key=lambda record: (places.index(record["split"]), _hex(record["id"])))


def _chapters(book: Book, split: str) -> Iterator[Record]:
    about = {"title": book.title, "author": book.author}
    origin = {"split": split, "source": book.source, "license": book.license}
    for number, chapter in enumerate(book.chapters, 1):
        yield {"id": f"{book.id}/{number}", **about, "text": "\n\n".join(chapter), **origin}


def splits(books: Iterable[Book]) -> dict[str, str]:
    """Return the split of each author, by family name: a lot decides, but for those who wrote much."""
    lengths = Counter[str]()
    for book in books:
        lengths[book.family] += book.length
    most = LARGEST * lengths.total()
    return {family: _lot(family) if length <= most else "train" for family, length in lengths.items()}


def _lot(family: str) -> str:
    lot = int(_hex(family)[:16], 16) / 2**64
    return next((split for split, below in HELD_OUT.items() if lot < below), "train")


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
