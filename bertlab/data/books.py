"""English novels and non-fiction in the public domain, which anyone can build: `python -m bertlab.corpus books`.

A document is a chapter. Held-out books are by authors of whom nothing is in the training split.
"""

from collections.abc import Iterator
from pathlib import Path

from bertlab.config.cache import cached, digest
from bertlab.config.errors import InputError
from bertlab.data.documents import Document
from bertlab.data.text import Text

KIND, FILE = "corpora", "books.jsonl.xz"  # of the cache, and in its entry
SHA256 = "b6c33ef634e31ae8873a37ad6674de58c7f6c733488a9a11680409a1c4aec212"  # of the corpus, unpacked
MEGABYTES = 40  # of the file


class Books:
    """The corpus that has the SHA-256 above, read from the cache."""

    name = "books"

    def key(self) -> str:
        """Hash of the corpus' own hash: what else it might hold was refused when it was built."""
        return digest("books-1", SHA256)

    def documents(self) -> Iterator[Document]:
        """Yield the chapters. Raises InputError where the corpus was not built yet."""
        return Text(str(self.path())).documents()

    def facts(self) -> dict[str, str]:
        """Name the collections, and the licence of each."""
        return {
            "source": "books in the public domain: ELTeC-eng and Standard Ebooks, as docs/books.md lists them",
            "licence": "texts: public domain (of Standard Ebooks: in the US); editions: CC BY 4.0 and CC0 1.0",
            "content": SHA256,
        }

    def path(self) -> Path:
        """Return where the corpus lies. Raises InputError where it does not."""
        return cached(KIND, SHA256[:16], _absent) / FILE


def _absent(_: Path) -> None:
    raise InputError(
        "data=books needs its corpus in the cache, got none; fetch and build it once with: python -m bertlab.corpus "
        "books (it says what from where, and asks)"
    )
