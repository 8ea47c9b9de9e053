"""A report as one HTML page with embedded figures: MLflow's UI shows neither figures nor comments of markdown.

Enters: the markdown of a report and the folder of its figures. Leaves: a page that needs no other file.
"""

import re
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

COMMENT = re.compile(r"\A<!--\s*(.*?)\s*-->\s*", re.DOTALL)
IMAGE = re.compile(r'<img src="([^":]+\.svg)" alt="[^"]*" ?/?>')
DECLARATIONS = re.compile(r"\A.*?(?=<svg)", re.DOTALL)  # of XML; HTML does not need them
STYLE = """:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:60em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;font-size:14px;display:block;overflow-x:auto}
td,th{border-bottom:1px solid #ddd;padding:.3em .7em;text-align:left}
pre{background:#f6f6f6;padding:.7em;overflow-x:auto}svg{max-width:100%;height:auto}footer{color:#6b6b6b;font-size:14px}
@media (prefers-color-scheme:dark){body{background:#1a1a1a;color:#ddd}pre{background:#2a2a2a}td,th{border-color:#444}
footer{color:#aaa}a{color:#9cf}}"""


def page(markdown: str, folder: Path) -> str:
    """Return the page. The report's comment about its making is at the end."""
    comment = COMMENT.match(markdown)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(COMMENT.sub("", markdown))
    body = IMAGE.sub(lambda image: _figure(folder / image[1]), body)
    title = re.search(r"^# (.*)$", markdown, re.MULTILINE)
    foot = f"<footer>{escape(comment[1])}</footer>" if comment else ""
    head = f"<title>{escape(title[1] if title else 'Report')}</title><style>{STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><meta charset="utf-8">{head}<body>\n{body}{foot}</body></html>\n'


def _figure(path: Path) -> str:
    """Return a drawing for HTML; it contains its description."""
    return DECLARATIONS.sub("", path.read_text("utf-8"))
