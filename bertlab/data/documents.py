"""Documents: what every corpus yields.

A corpus is a stream of `Document`s: text whose paragraphs are separated by one blank line, and the split it belongs
to where the source says so.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

SPLITS = ("train", "valid", "test")
_TO_SPACE = {code: " " for code in range(0x3001) if chr(code).isspace()}  # all white space that there is


@dataclass(frozen=True, slots=True)
class Document:
    """One document: `id` is unique in its corpus, paragraphs of `text` are separated by a blank line."""

    id: str
    text: str
    split: str | None = None  # "train", "valid", "test", or None: bertlab holds some out by `lot`
    source: str = ""  # where it was taken from, where that is known
    licence: str = ""
    has_id: bool = field(default=True, compare=False)  # False where `id` only says where the text was found


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
    """A corpus or tokenizer that can tell at once whether what it reads is there."""

    def check(self) -> None:
        """Raise InputError where it is not."""


def one_line(text: str) -> str:
    """Return the text with one space for each run of white space, and none around it.

    No list of its words is made, which would take thirty times the memory of the text.
    """
    spaced = text.translate(_TO_SPACE)
    while "  " in spaced:
        spaced = spaced.replace("  ", " ")
    return spaced.strip()


def likeness(text: str) -> int:
    """Return 64 bits that texts of the same words share, whatever their case, white space and form in Unicode."""
    letters = one_line(unicodedata.normalize("NFKC", text).casefold())
    return int.from_bytes(hashlib.blake2b(letters.encode(errors="surrogatepass"), digest_size=8).digest())


def lot(document: Document) -> float:
    """Return a number in [0, 1) that depends on the document's id alone, without one on its text; low: held out."""
    if not document.has_id:
        return likeness(document.text) / 2**64
    return int.from_bytes(hashlib.sha256(document.id.encode(errors="surrogatepass")).digest()[:8]) / 2**64
