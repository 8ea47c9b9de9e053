"""Write the site: all pages are made first, then the files are renamed into place; equal reports give equal bytes.

Enters: a folder of reports. Leaves: a folder whose index.html opens from the file system.
"""

from collections.abc import Iterator
from pathlib import Path

from bertlab.config.errors import InputError
from bertlab.report.book_page import Page, read_book
from bertlab.report.regime import regime
from bertlab.report.site.answers import answer_pages
from bertlab.report.site.board import board
from bertlab.report.site.data import effect_rows, table
from bertlab.report.site.page import HERE, page
from bertlab.report.site.study import study_page
from bertlab.report.write import put

STATIC, VENDOR = HERE / "static", HERE / "vendor"
INDEX, MARK = "index.html", 'id="board"'  # marks of a site's folder
CHARTS = ("plot-d3.min.js", "rule.js", "charts.js")


def write_site(reports: Path, out: Path) -> Path:
    """Write the site of a folder of reports into `out` and return its first page.

    Pages that only an earlier site had are removed. Raises InputError for a missing folder of reports and for an `out`
    with other content than a site.
    """
    if not reports.is_dir():
        raise InputError(
            f"reports must be a folder that is there, got {reports}; name that of the studies, as outputs/reports"
        )
    if out.exists() and not _is_site(out):
        raise InputError(f"out must be a new folder or an earlier site, got {out}; name another")
    files = site(reports)
    earlier = [path.relative_to(out).as_posix() for path in out.rglob("*.html")]
    put(files, out, gone=earlier)
    return out / INDEX


def site(reports: Path) -> dict[str, bytes]:
    """Return every file of the site by name, its first page last."""
    files = {name: text.encode() for name, text in _pages(read_book(reports))}
    for path in sorted([*STATIC.iterdir(), *VENDOR.iterdir()]):
        files[path.name] = path.read_bytes()
    return {**{name: files[name] for name in sorted(files) if name != INDEX}, INDEX: files[INDEX]}


def _pages(book: Page) -> Iterator[tuple[str, str]]:
    yield INDEX, page("What holds in BERT’s design? – bertlab", board(book), scripts=["board.js"])
    yield from ((f"studies/{name}.html", study_page(book, name)) for name in book.studies)
    yield from answer_pages(book)
    yield "effects.html", _drawn("Every effect on one axis", "effects", _effects(book))
    yield "rule.html", _drawn("When does a verdict change?", "rule")


def _effects(book: Page) -> dict[str, object]:
    """Return every contrast of every study as one table."""
    return table(
        {"study": name, "regime": book.regimes[regime(findings)], **row}
        for name, findings in book.studies.items()
        for row in effect_rows(findings)
    )


def _drawn(title: str, name: str, data: object = None) -> str:
    """Return a page with words from a file of this room and charts from a script."""
    body = (HERE / f"{name}.html").read_text("utf-8")
    script = "explore.js" if name == "rule" else f"{name}.js"
    return page(f"{title} – bertlab", body, scripts=[*CHARTS, script], data=data)


def _is_site(folder: Path) -> bool:
    """Return whether a folder is empty or contains an earlier site."""
    index = folder / INDEX
    return folder.is_dir() and (not any(folder.iterdir()) or (index.is_file() and MARK in index.read_text("utf-8")))
