"""Page layout, and conversion of the reports' markdown to HTML with links inside the site.

Enters: HTML or markdown. Leaves: HTML.
"""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from markdown_it import MarkdownIt

HERE = Path(__file__).parent
COMMENT = re.compile(r"\A(?:<!--.*?-->\s*)+", re.DOTALL)
FIGURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\s*$", re.MULTILINE)  # the site draws its own figures
# HTML does not allow these tags in a paragraph
IN_PARAGRAPH = re.compile(r"<p>(</?details>(?:<summary>.*?</summary>)?)</p>")
DETAILS = re.compile(r"&lt;(/?(?:details|summary))&gt;")  # tags in the answers' markdown
ANCHOR = re.compile(r"<p>&lt;a id=&quot;(\w+)&quot;&gt;&lt;/a&gt;</p>|&lt;a id=&quot;(\w+)&quot;&gt;&lt;/a&gt;")
BLOCK = r"(?:p|ul|ol|li|h\d|table|thead|tbody|tr|th|td|details|summary|pre|div)"
# end tags that HTML implies, and line breaks between blocks
IMPLIED = re.compile(rf"(?:</(?:p|li|th|td|tr|thead|tbody)>)+(?=\s*</?{BLOCK}\b|\s*\Z)|\n(?=</?{BLOCK}\b)")
WIDE = '<div class="wide" tabindex="0" role="group" aria-label="Table">'
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def page(
    title: str, body: str, *, root: str = "", lang: str = "en", scripts: Sequence[str] = (), data: Any = None
) -> str:
    """Return a whole page. `root`: path to the site's top. `data`: what scripts read from the element `data`."""
    held = f'<script type="application/json" id="data">{as_json(data)}</script>\n' if data is not None else ""
    loaded = "".join(f'<script src="{root}{name}"></script>\n' for name in scripts)
    template = Template((HERE / "page.html").read_text("utf-8"))
    return template.substitute(title=escape(title), body=body, root=root, lang=lang, scripts=held + loaded)


def as_json(data: Any) -> str:
    """Write data as JSON; no text in it can end the HTML element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def html(markdown: str, links: Mapping[str, str]) -> str:
    """Return markdown of a report as HTML, without what HTML implies.

    Links that `links` does not have become text; figures are left out.
    """
    text = MARKDOWN.render(FIGURE.sub("", COMMENT.sub("", markdown)))
    text = ANCHOR.sub(lambda found: f'<a id="{found[1] or found[2]}"></a>', DETAILS.sub(r"<\1>", text))
    text = IN_PARAGRAPH.sub(r"\1", text)
    text = text.replace(' class="language-text"', "").replace(' style="text-align:right"', ' class="r"')
    text = text.replace("<pre>", '<pre tabindex="0">')  # wide content can be scrolled by keyboard
    text = text.replace("<table>", f"{WIDE}<table>").replace("</table>", "</table></div>")
    text = IMPLIED.sub("", text)
    return re.sub(r'<a href="([^"]*)">(.*?)</a>', lambda link: _linked(link[1], link[2], links), text, flags=re.DOTALL)


def inline(markdown: str) -> str:
    """Return one line of markdown as HTML without a paragraph; links become text."""
    return re.sub(r"</?a\b[^>]*>", "", MARKDOWN.renderInline(markdown))


def _linked(target: str, words: str, links: Mapping[str, str]) -> str:
    file, mark, place = target.partition("#")
    if file and file not in links:
        return words
    return f'<a href="{links.get(file, "")}{mark}{place}">{words}</a>'
