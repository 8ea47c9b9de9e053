"""Books -> one file: a chapter is a document; authors of held-out books have no other book in the corpus."""

import hashlib
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bertlab.config.cache import cached
from bertlab.config.errors import InputError
from bertlab.data.books import FILE, KIND, SHA256
from bertlab.data.corpus.alike import told_apart
from bertlab.data.corpus.book import Book
from bertlab.data.corpus.git import Tree
from bertlab.data.corpus.sources import Source

Record = dict[str, str]
HELD_OUT = {"valid": 0.05, "test": 0.09}  # limits of the lots, in this order
LARGEST = 0.02  # share of the text; authors with more are in training, so that no split depends on one author


def made(sources: Sequence[Source], tree: Callable[[Source], Tree], sha256: str = SHA256) -> Path:
    """Return the corpus of these sources, cached or built now. Raises InputError if its hash differs."""

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
    """Write the corpus of these books and return the SHA-256 (hex) of its uncompressed content."""
    total = hashlib.sha256()
    with lzma.open(path, "wb", preset=6) as file:
        for record in records(list(told_apart(books))):
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            total.update(line)
            file.write(line)
    return total.hexdigest()


def records(books: list[Book]) -> list[Record]:
    """Return one record per chapter: by split, then in an order that does not group books."""
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
    """Return the split of each author, by family name: by lot, except for authors of much text."""
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
