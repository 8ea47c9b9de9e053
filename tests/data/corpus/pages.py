"""Pages of invented books in the form of the real sources."""

import numpy as np

WORDS = [
    "ship",
    "lantern",
    "harbour",
    "sailor",
    "storm",
    "island",
    "anchor",
    "wave",
    "captain",
    "market",
    "tower",
    "bell",
]


def paragraph(number: int) -> str:
    """Return a paragraph of about 1,800 characters, different for each number."""
    drawn = np.random.default_rng(number).choice(WORDS, 300)
    return " ".join(drawn) + f" {number}."


def family(number: int) -> str:
    """Return a name of letters."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number)).capitalize() + "son"


TEI = """<?xml version="1.0"?>
<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><fileDesc><titleStmt>
<title>{title} : ELTeC edition</title><author>{author}</author></titleStmt></fileDesc></teiHeader>
<text><front><div><p>{author} wrote this preface.</p></div></front><body>{body}</body>
<back><div><p>And this.</p></div></back></text></TEI>"""
XHTML = """<?xml version="1.0"?>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><head><title>T</title></head>
<body epub:type="{kind} z3998:fiction"><section>{body}</section></body></html>"""
OPF = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title id="title">{title}</dc:title><dc:creator id="author">x</dc:creator>
<meta property="file-as" refines="#author">{author}</meta></metadata>
<manifest>{items}</manifest><spine>{refs}</spine></package>"""


def novel(title: str, author: str, *numbers: int) -> str:
    """Return a novel of ELTeC with a chapter for each number."""
    chapters = (f"<div type='chapter'><head>I</head><p>{paragraph(number)}</p></div>" for number in numbers)
    return TEI.format(title=title, author=author, body="".join(chapters))


def ebook(title: str, author: str, *numbers: int, **pages: str) -> dict[str, str]:
    """Return the files of a book of Standard Ebooks with a chapter for each number, and more pages."""
    chapters = {f"chapter-{place}": f"<p>{paragraph(number)}</p>" for place, number in enumerate(numbers, 1)}
    kinds = {**dict.fromkeys(chapters, "bodymatter"), **dict.fromkeys(pages, "backmatter")}
    names = [*chapters, *pages]
    items = "".join(f'<item id="{name}.xhtml" href="text/{name}.xhtml"/>' for name in sorted(names))
    refs = "".join(f'<itemref idref="{name}.xhtml"/>' for name in names)
    files = {"src/epub/content.opf": OPF.format(title=title, author=author, items=items, refs=refs)}
    bodies = {**chapters, **pages}
    return files | {
        f"src/epub/text/{name}.xhtml": XHTML.format(kind=kinds[name], body=body) for name, body in bodies.items()
    }
