"""The tables of a page as LaTeX: each a float below a caption, in booktabs style.

Enters: markdown. Leaves: LaTeX. Links become plain words.
"""

import re
from collections.abc import Iterator

from bertlab.report.table import Table, in_latex

LINK = re.compile(r"\[((?:[^\]\\]|\\.)*)\]\([^)]*\)")
SPLIT = re.compile(r"(?<!\\)\|")
TABLE = re.compile(r"(?:^\|.*\n?)+", re.MULTILINE)
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"  # at most as wide as the page


def floats(markdown: str) -> Iterator[str]:
    """Yield the tables of a page in order, each with the heading above it as caption."""
    for found in TABLE.finditer(markdown):
        headings = re.findall(r"^#+ (.*)$", markdown[: found.start()], re.MULTILINE)
        inside = f"{FITTED}\n{table(found[0]).latex().rstrip()}}}"
        caption = in_latex(headings[-1] if headings else "")
        yield f"\\begin{{table}}[htbp]\n\\centering\n\\caption{{{caption}}}\n{inside}\n\\end{{table}}"


def table(markdown: str) -> Table:
    """Read a table of a page; right-aligned columns are numbers."""
    header, rule, *rows = (_cells(line) for line in markdown.strip().splitlines())
    return Table(header, rows, left=sum(not side.endswith(":") for side in rule))


def _cells(line: str) -> list[str]:
    return [LINK.sub(r"\1", cell.strip()) for cell in SPLIT.split(line.strip())[1:-1]]
