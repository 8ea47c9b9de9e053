"""English novels and non-fiction in the public domain, which anyone can build: `python -m bertlab.corpus books`.

A document is a chapter. Held-out books are by authors who do not occur in the training split.
"""

from collections.abc import Iterator
from pathlib import Path

from bertlab.config.cache import cached, digest
from bertlab.config.errors import InputError
from bertlab.data.documents import Document
from bertlab.data.text import Text

KIND, FILE = "corpora", "books.jsonl.xz"  # kind of cache entry, and its file
SHA256 = "b6c33ef634e31ae8873a37ad6674de58c7f6c733488a9a11680409a1c4aec212"  # of the uncompressed corpus
MEGABYTES = 40  # size of the file


class Books:
    """The corpus with the SHA-256 above, read from the cache."""

    name = "books"

    def key(self) -> str:
        """Hash of the corpus' SHA-256: building refuses any other content."""
        return digest("books-1", SHA256)

    def documents(self) -> Iterator[Document]:
        """Yield the chapters. Raises InputError if the corpus has not been built."""
        return Text(str(self.path())).documents()

    def facts(self) -> dict[str, str]:
        """Return the collections and their licences."""
        return {
            "source": "books in the public domain: ELTeC-eng and Standard Ebooks, as docs/books.md lists them",
            "licence": "texts: public domain (of Standard Ebooks: in the US); editions: CC BY 4.0 and CC0 1.0",
            "content": SHA256,
        }

    def path(self) -> Path:
        """Return the path of the corpus. Raises InputError if it does not exist."""
        return cached(KIND, SHA256[:16], _absent) / FILE


def _absent(_: Path) -> None:
    raise InputError(
        "data=books needs its corpus in the cache, got none; fetch and build it once with: python -m bertlab.corpus "
        "books (it says what from where, and asks)"
    )
