"""A table in five formats: markdown for pages, CSV and JSON for programs, LaTeX for papers, HTML for browsers.

Enters: a header and rows. A cell is a number, or markdown for a page (names are already passed through `escape`).
Leaves: text. Values that are not finite are empty in CSV and null in JSON.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape as as_html
from typing import Any

ESCAPED = re.compile(r"\\([\\`*\[\]<>|~$&#_])")
BOLD = re.compile(r"(?<!\\)\*\*(.+?)(?<!\\)\*\*")
GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "η": "eta", "θ": "theta"} | {
    **{"λ": "lambda", "μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "varphi", "Δ": "Delta"},
    **{"Σ": "Sigma", "Ω": "Omega"},
}
IN_LATEX = {mark: f"\\{mark}" for mark in "&%$#_{}"} | {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"−": "$-$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "<": "$<$", ">": "$>$", "|": "$|$"},
    **{"→": r"$\to$", "≤": r"$\le$", "≥": r"$\ge$", "“": "``", "”": "''", "’": "'"},
    **{"≈": r"$\approx$", "≠": r"$\ne$", "∞": r"$\infty$", "√": r"$\surd$"},
    **{digit: f"$_{place}$" for place, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{letter: f"$\\{name}$" for letter, name in GREEK.items()},
}  # characters for which LaTeX has no font; it reports others as errors


@dataclass(frozen=True)
class Table:
    """The first `left` columns are names, the others right-aligned numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    left: int = 1

    def markdown(self) -> str:
        """Write the table for a page."""
        rule = ["---" if column < self.left else "---:" for column in range(len(self.header))]
        return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [self.header, rule, *self.rows])

    def csv(self) -> str:
        """Write the table as CSV; floats are exact when read back."""
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows(self._rows(_plain))
        return file.getvalue()

    def records(self) -> list[dict[str, Any]]:
        """Return one dictionary per row, with JSON-compatible values."""
        header, *rows = self._rows(_plain)
        return [dict(zip(header, row, strict=True)) for row in rows]

    def json(self) -> str:
        """Write `records`."""
        return json.dumps(self.records(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def latex(self) -> str:
        """Write a `tabular` in the style of the package booktabs."""
        columns = "".join("l" if column < self.left else "r" for column in range(len(self.header)))
        header, *rows = (f"{' & '.join(row)} \\\\" for row in self._rows(_latex))
        begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
        return "\n".join([begin, r"\toprule", header, r"\midrule", *rows, r"\bottomrule", end]) + "\n"

    def html(self) -> str:
        """Write a table element."""
        header, *rows = self._rows(_html)
        head = "".join(f"<th>{cell}</th>" for cell in header)
        body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"

    def _rows(self, write: Callable[[Any], Any]) -> Iterable[list[Any]]:
        return ([write(cell) for cell in row] for row in [self.header, *self.rows])


def _plain(cell: Any) -> Any:
    """Return a cell without markdown; None for a number that is not finite."""
    if isinstance(cell, str):
        return ESCAPED.sub(r"\1", BOLD.sub(r"\1", cell))
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def in_latex(markdown: str) -> str:
    """Return a line of a page as LaTeX, bold words bold."""
    return _latex(markdown)


def _latex(cell: Any) -> str:
    return _marked(cell, lambda text: "".join(IN_LATEX.get(mark, mark) for mark in text), r"\textbf{{{}}}")


def _html(cell: Any) -> str:
    return _marked(cell, as_html, "<b>{}</b>")


def _marked(cell: Any, write: Callable[[str], str], bold: str) -> str:
    """Write a cell piece by piece: every second piece is bold."""
    plain = "" if _plain(cell) is None else str(cell)
    pieces = [write(_plain(piece)) for piece in BOLD.split(plain)]
    return "".join(bold.format(piece) if place % 2 else piece for place, piece in enumerate(pieces))
