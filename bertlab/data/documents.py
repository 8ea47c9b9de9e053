"""Documents: the common output of every corpus.

A corpus is a stream of `Document`s: text with paragraphs separated by one blank line, and its split if the source
states it.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

SPLITS = ("train", "valid", "test")
_TO_SPACE = {code: " " for code in range(0x3001) if chr(code).isspace()}  # all white space below U+3001


@dataclass(frozen=True, slots=True)
class Document:
    """One document: `id` is unique in its corpus, paragraphs of `text` are separated by a blank line."""

    id: str
    text: str
    split: str | None = None  # "train", "valid", "test", or None: bertlab holds out some by `lot`
    source: str = ""  # its origin, if known
    licence: str = ""
    has_id: bool = field(default=True, compare=False)  # False if `id` is only the place of the text


class Corpus(Protocol):
    """A source of documents. Its constructor is cheap and reads nothing."""

    name: str

    def key(self) -> str:
        """Hash (hex) of what decides the result of `documents`: file bytes, versions, settings. Under a second."""
        ...

    def documents(self) -> Iterator[Document]:
        """Yield every document, always in the same order."""
        ...

    def facts(self) -> dict[str, str]:
        """Return origin and licence of the text, for reports."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A corpus or tokenizer that can check quickly whether its files exist."""

    def check(self) -> None:
        """Raise InputError if they do not."""


def one_line(text: str) -> str:
    """Return the text with each run of white space replaced by one space, and stripped.

    Makes no list of words, which would take thirty times the memory of the text.
    """
    spaced = text.translate(_TO_SPACE)
    while "  " in spaced:
        spaced = spaced.replace("  ", " ")
    return spaced.strip()


def likeness(text: str) -> int:
    """Return a 64-bit hash that ignores case, white space and Unicode form."""
    letters = one_line(unicodedata.normalize("NFKC", text).casefold())
    return int.from_bytes(hashlib.blake2b(letters.encode(errors="surrogatepass"), digest_size=8).digest())


def lot(document: Document) -> float:
    """Return a number in [0, 1) from the document's id, or from its text without an id; low: held out."""
    if not document.has_id:
        return likeness(document.text) / 2**64
    return int.from_bytes(hashlib.sha256(document.id.encode(errors="surrogatepass")).digest()[:8]) / 2**64
