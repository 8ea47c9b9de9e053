"""The answers and the facts as pages of the site, made from the markdown that the reports have.

Enters: a book. Leaves: HTML by name; links between pages stay inside the site.
"""

import re
from collections.abc import Iterator, Mapping

from bertlab.report.answers.write import ANSWERS, answers
from bertlab.report.book import BOOK
from bertlab.report.book_page import FACTS, Page
from bertlab.report.site.page import html, page

TITLE = re.compile(r"^# (.*)$", re.MULTILINE)


def answer_pages(book: Page) -> Iterator[tuple[str, str]]:
    """Yield the page of every answer, in every language, and that of the facts."""
    links = {f"../{BOOK}": "../index.html", f"../{FACTS}": "../facts.html"}
    links |= {f"../{name}.md": f"../studies/{name}.html" for name in book.studies}
    texts = answers(book.folder, book.studies, brief=True) if (book.folder / ANSWERS).is_dir() else {}
    links |= {name: name.replace(".md", ".html") for name in texts}
    for name, text in texts.items():
        lang = "zh-Hans" if name.endswith(".zh.md") else "en"
        yield f"{ANSWERS}/{links[name]}", _page(text, links, "../", lang)
    yield "facts.html", _page(book.facts or "# Facts\n\nNone are stated.", {}, "", "en")


def _page(text: str, links: Mapping[str, str], root: str, lang: str) -> str:
    found = TITLE.search(text)
    title = f"{found[1].replace(chr(92), '') if found else 'Facts'} – bertlab"
    return page(title, f'<div class="text">{html(text, links)}</div>', root=root, lang=lang)
