"""Documents: what every corpus yields, and which of them are held out.

A corpus is a stream of `Document`s: text whose paragraphs are separated by one blank line, and the split it belongs
to where the source says so.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Document:
    """One document: `id` is unique in its corpus, paragraphs of `text` are separated by a blank line."""

    id: str
    text: str
    split: str | None = None  # "train", "valid", "test", or None: bertlab holds some out by `lot`
    source: str = ""  # where it was taken from, where that is known
    licence: str = ""


class Corpus(Protocol):
    """A source of documents. Constructing one is cheap and reads nothing."""

    name: str

    def key(self) -> str:
        """Hash (hex) of all that decides what `documents` yields: file bytes, versions, settings. Under a second."""
        ...

    def documents(self) -> Iterator[Document]:
        """Yield every document, always in the same order."""
        ...

    def facts(self) -> dict[str, str]:
        """Say where the text comes from and under which licence, for reports."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A corpus that can tell at once whether what it reads is there."""

    def check(self) -> None:
        """Raise InputError where it is not."""


def lot(document: Document) -> float:
    """Return a number in [0, 1) that depends on the document's id alone; low lots are held out."""
    return int.from_bytes(hashlib.sha256(document.id.encode(errors="surrogatepass")).digest()[:8]) / 2**64
