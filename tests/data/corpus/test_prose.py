"""Paragraphs of prose, as plain text; everything else is left out."""

import pytest

from bertlab.config.errors import InputError
from bertlab.data.corpus.eltec import DROPPED as TEI_DROPPED
from bertlab.data.corpus.prose import paragraphs, parsed, plain
from bertlab.data.corpus.standard_ebooks import DROPPED, VERSE

EPUB = 'xmlns:epub="http://www.idpf.org/2007/ops"'
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><p>&b;</p>',
    '<?xml version="1.0"?><!DOCTYPE p SYSTEM "file:///etc/passwd"><p>x</p>',
    '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]><p>&a;</p>',
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“So—it’s ‘he’,”  said\n\tshe", "\"So—it's 'he',\" said she"),
        ("a -- b---c, well-known non‑breaking", "a — b—c, well-known non-breaking"),
        ("co\u00adop\u200bera\u2060te\ufeff\ufffd", "cooperate"),
        ("cafe\u0301\u00a0au\u2003lait", "café au lait"),
    ],
)
def test_text_is_as_keyboards_have_it_on_one_line(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_paragraphs_are_kept_in_order_without_what_is_no_prose() -> None:
    page = f"""<body {EPUB}><header><p>Title</p></header><h2>I</h2>
    <p>One<a epub:type="noteref">1</a> word,<br/>then <i>another</i>.</p>
    <blockquote epub:type="z3998:poem"><p><span>O verse</span></p></blockquote>
    <blockquote epub:type="z3998:letter"><p>Dear friend,</p></blockquote>
    <table><tr><td><p>cell</p></td></tr></table><figure><p>seen</p></figure><p> </p>
    <section><p>The end <abbr>Mr.</abbr> Fox.</p></section></body>"""
    found = list(paragraphs(parsed(page.encode(), "page"), DROPPED, VERSE))
    assert found == ["One word, then another.", "Dear friend,", "The end Mr. Fox."]


def test_novels_lose_verse_notes_and_headings() -> None:
    page = """<div><head>CHAPTER I</head>
    <p>He sang: <quote><l>O verse</l><l>O rhyme</l></quote> and <pb n="3"/>left.</p>
    <lg><l>More</l></lg><quote><p>A letter.</p></quote><note><p>A note.</p></note><!-- a remark --></div>"""
    assert list(paragraphs(parsed(page.encode(), "page"), TEI_DROPPED)) == ["He sang: and left.", "A letter."]


@pytest.mark.parametrize("page", [*LAUGHS, "<p>half", "", "<p>" * 102 + "</p>" * 102])
def test_xml_that_is_broken_or_declares_entities_is_refused_in_one_line(page: str) -> None:
    with pytest.raises(InputError, match=r"^here must be whole XML without a DTD") as caught:
        list(paragraphs(parsed(page.encode(), "here"), DROPPED))
    assert "\n" not in str(caught.value)


def test_a_file_larger_than_any_book_is_not_even_parsed() -> None:
    with pytest.raises(InputError, match=r"^here must hold at most 16 MiB, got 16777217 bytes"):
        parsed(b" " * ((16 << 20) + 1), "here")
