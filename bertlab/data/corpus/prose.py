"""Marked-up books -> paragraphs of plain prose, without verse, tables, notes, figures and headings.

A paragraph is one line of text, with single spaces and ASCII quotation marks.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bertlab.config.errors import InputError

PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′´`", "'"),
        **dict.fromkeys("“”„‟″", '"'),
        **dict.fromkeys("‐‑", "-"),
        **dict.fromkeys("―⸺⸻", "—"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff\ufffd"),  # soft hyphens, joiners, replacement characters
    }
)
DEEPEST = 100  # nested elements; readers are recursive
LARGEST = 16 << 20  # bytes of a file, three times the longest book


def parsed(data: bytes, place: str) -> Element:
    """Return the root of an XML file. Raises InputError for invalid XML and for a DTD or entities."""
    if len(data) > LARGEST:
        raise InputError(f"{place} must hold at most {LARGEST >> 20} MiB, got {len(data)} bytes; fetch it again")
    try:
        root: Element = fromstring(data, forbid_dtd=True)
        if _nests_deeper(root, DEEPEST):
            raise ParseError(f"elements nest deeper than {DEEPEST}")
    except (ParseError, DefusedXmlException) as error:
        raise InputError(f"{place} must be whole XML without a DTD, got an error: {error}; fetch it again") from error
    return root


def _nests_deeper(root: Element, levels: int) -> bool:
    level = [root]
    for _ in range(levels):
        level = [child for element in level for child in element]
    return bool(level)


def name(element: Element) -> str:
    """Return the element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def paragraphs(root: Element, dropped: Collection[str], verse: Collection[str] = ()) -> Iterator[str]:
    """Yield the text of every <p>, in order, without the content of elements named `dropped` or typed `verse`.

    An element is verse if its epub:type contains one of these words.
    """
    if _is_dropped(root, dropped, verse):
        return
    if name(root) == "p":
        if text := plain("".join(_text(root, dropped, verse))):
            yield text
        return
    for child in root:
        yield from paragraphs(child, dropped, verse)


def _text(element: Element, dropped: Collection[str], verse: Collection[str]) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if not _is_dropped(child, dropped, verse):
            yield from _text(child, dropped, verse)
            yield " " if name(child) in ("br", "lb", "p") else ""
        yield child.tail or ""


def _is_dropped(element: Element, dropped: Collection[str], verse: Collection[str]) -> bool:
    return not isinstance(element.tag, str) or name(element) in dropped or not types(element).isdisjoint(verse)


def types(element: Element) -> set[str]:
    """Return the words of an element's epub:type."""
    return set(element.get("{http://www.idpf.org/2007/ops}type", "").split())


def plain(text: str) -> str:
    """Return plain text on one line, with ASCII quotation marks; two hyphens become a dash."""
    return " ".join(re.sub("-{2,}", "—", unicodedata.normalize("NFC", text).translate(PLAIN)).split())
