"""Write the site: every page is made first, then each file is put into its place; equal reports, equal bytes.

Enters: a folder of reports. Leaves: a folder whose index.html opens from the file system.
"""

from collections.abc import Iterator
from pathlib import Path

from bertlab.errors import InputError
from bertlab.report.book import Page, read_book, regime
from bertlab.report.write import put
from bertlab.site.answers import answer_pages
from bertlab.site.board import board
from bertlab.site.data import effect_data
from bertlab.site.page import HERE, page
from bertlab.site.study import study_page

STATIC = HERE / "static"
INDEX, MARK = "index.html", '<meta name="generator" content="bertlab.site">'
CHARTS = ("d3.min.js", "plot.min.js", "rule.js", "charts.js")


def write_site(reports: Path, out: Path) -> Path:
    """Write the site of a folder of reports into `out` and return its first page.

    Pages of an earlier site that this one lacks are removed. Raises InputError for a folder of reports that is not there
    and for an `out` that holds something else than a site.
    """
    if not reports.is_dir():
        raise InputError(f"reports must be a folder that is there, got {reports}; name the one that holds the studies")
    if out.exists() and not _is_site(out):
        raise InputError(
            f"out must be a new folder or an earlier site, got {out}, which holds something else; name another"
        )
    files = dict(site(reports))
    earlier = (str(path.relative_to(out)) for path in out.rglob("*.html"))
    put(dict(sorted(files.items(), key=lambda file: file[0] == INDEX)), out, gone=earlier)
    return out / INDEX


def site(reports: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file of the site by name."""
    book = read_book(reports)
    pages = {INDEX: page("What holds in BERT’s design? – bertlab", board(book), scripts=["board.js"])}
    pages |= {f"studies/{name}.html": study_page(book, name) for name in book.studies}
    pages |= {"effects.html": _effects(book), "rule.html": _rule()}
    pages |= dict(answer_pages(book))
    yield from ((name, text.encode()) for name, text in sorted(pages.items()))
    yield from ((path.name, path.read_bytes()) for path in sorted(STATIC.iterdir()) if path.is_file())


def _effects(book: Page) -> str:
    data = [
        {"study": name, "regime": book.regimes[regime(each)], "effects": effect_data(each)}
        for name, each in book.studies.items()
    ]
    body = (HERE / "effects.html").read_text("utf-8")
    return page("Every effect on one axis – bertlab", body, scripts=[*CHARTS, "effects.js"], data=data)


def _rule() -> str:
    body = (HERE / "rule.html").read_text("utf-8")
    return page("When does a verdict change? – bertlab", body, scripts=[*CHARTS, "explore.js"])


def _is_site(folder: Path) -> bool:
    """Tell whether a folder is empty or holds a site that was written before."""
    index = folder / INDEX
    return folder.is_dir() and (
        not any(folder.iterdir()) or (index.is_file() and MARK in index.read_text("utf-8", "replace"))
    )
