"""The answers and the facts as pages of the site, made from the markdown that the reports have.

Enters: a book and its folder. Leaves: HTML by name, links between pages included.
"""

import re
from collections.abc import Iterator

from bertlab.report.answers.write import ANSWERS, answers
from bertlab.report.book import BOOK, FACTS, Page
from bertlab.site.page import html, page

TITLE = re.compile(r"^# (.*)$", re.MULTILINE)
LANGUAGES = {"en": "en", "zh": "zh-Hans"}


def answer_pages(book: Page) -> Iterator[tuple[str, str]]:
    """Yield the page of every answer, in every language, and that of the facts."""
    links = {f"../{BOOK}": "../index.html", f"../{FACTS}": "../facts.html"}
    links |= {f"../{name}.md": f"../studies/{name}.html" for name in book.studies}
    texts = answers(book.folder, book.studies) if (book.folder / ANSWERS).is_dir() else {}
    links |= {name: name.replace(".md", ".html") for name in texts}
    for name, text in texts.items():
        code = "zh" if name.endswith(".zh.md") else "en"
        yield f"{ANSWERS}/{links[name]}", _page(text, links, "../", LANGUAGES[code])
    if book.facts:
        yield "facts.html", _page(book.facts, {}, "", "en")


def _page(text: str, links: dict[str, str], root: str, lang: str) -> str:
    title = TITLE.search(text)
    body = f'<article class="text">{html(text, links)}</article>'
    return page(f"{title[1] if title else 'Facts'} – bertlab", body, root=root, lang=lang)
