"""Docstring -> English prose: the readable paragraphs, without code, tables, lists or markup.

Docstrings mix prose with reStructuredText, Markdown, numpydoc and Google layouts. All of them indent text that is not
prose. So a line counts only at the left margin (or in the body of a note), and not under a heading of a table. A
paragraph counts only if `is_prose` finds nothing else in it.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator

FENCE = re.compile(r"^ *(```|~~~).*?(?:^ *\1 *$|\Z)", re.M | re.S)
NOTE = re.compile(
    r"^(?:\.\. )?(?:note|warning|tip|hint|important|attention|caution)s?::?(?: +(.*))?\n((?:[ \t]+\S.*\n|[ \t]*\n)*)",
    re.M | re.I,
)
HEADING = re.compile(r"^(\S.*)\n([-=~^*#\"'+.])\2{2,}[ \t]*$", re.M)
TABLES = re.compile(  # headings (mostly numpydoc's) of sections with tables, code or citations
    r"\s*(?:(?:other |keyword )?(?:parameters|arguments)|attributes|methods|fields|options|returns|yields|receives"
    r"|raises|warns|see also|references|bibliography|citations|examples?|usage|inputs?|outputs?|shape)[\s:]*",
    re.I,
)
NOT_TEXT = re.compile(r"^(?:[ \t]|>>>|\.\.|:[\w ,*.]+:|@\w|[-*+•|=] |\(?(?:\d{1,2}|[a-z])[.)] |\[\w+\] )", re.M)

MARKUP = [  # removed in this order; if markup remains, `is_prose` refuses the paragraph
    (re.compile(r":[\w:.+-]+:`~(?:[\w.]*\.)?(\w+)`"), r"\1"),  # roles
    (re.compile(r":[\w:.+-]+:`[!.]?([^`<]+?)(?: *<[^`>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]+>`_{1,2}"), r"\1"),  # links
    (re.compile(r"\[([^\]]+)\]\([^)]+\)"), r"\1"),
    (re.compile(r"(``?)[~!.]*([^`]+)\1_{0,2}"), r"\2"),  # literals and references
    (re.compile(r"\$([\w ,.()+/-]+)\$"), r"\1"),  # formulas without commands
    (re.compile(r" \[(?<! in \[| by \[| of \[| to \[|see \[|and \[|rom \[)#?\w*\]_", re.I), ""),  # footnotes
    (re.compile(r"(?<![\w*])(\*{1,2})(\S(?:[^*]*\S)?)\1(?![\w*])"), r"\2"),  # emphasis
    (re.compile(r"\\ ?(?=\W)"), ""),  # escapes
    (re.compile(r"(?<=[.!?]) [^.!?]*:$"), ""),  # a final sentence that introduces a list or code
]
SIGN = re.compile(r"[`\[$*\\]|:$")  # a text without any of these has no markup; saves half the time
TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " "})

SENTENCE_END = re.compile(r"[.!?](?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)[\"')]*(?= [A-Z\"'(]|$)")
WHOLE_SENTENCES = re.compile(r"[A-Z\"'(].*[.!?][\"')]*")
NOISE = re.compile(
    r"[^ -~]|_(?<=[^\W_]_)(?!\w)|[\\{}<>|=`^$~@#*\[\]]|:\w+:|://|www\.|%[(\w]| \(\)| [.,;:](?: |$)|(?: |^)--?[a-z]"
)
CODE = re.compile(r"[_(/:](?<=\w.)(?=[\w):])|\.(?<=[A-Za-z_]{2}\.)(?=[A-Za-z_])")  # as in a_b, f(x), a/b, a::b, ab.c
WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
FUNCTION_WORDS = frozenset(
    "a an and are as at be been but by can do does for from has have if in into is it its may must no not of on one or"  # noqa: SIM905
    " other should so such than that the their them then there these they this to use used was were what when where"
    " which while will with would you your".split()
)


def prose(docstring: str) -> list[str]:
    """Return the paragraphs of English prose in a docstring, each on one line."""
    return [text for paragraph in paragraphs(docstring) if is_prose(text := plain(paragraph))]


def paragraphs(docstring: str) -> Iterator[str]:
    """Yield the paragraphs at the left margin, with their inline markup."""
    text = NOTE.sub(_unwrap, FENCE.sub("", inspect.cleandoc(docstring)) + "\n")
    parts = ["", "", *HEADING.split(text)]  # title, its underline, body, title, ...
    for title, body in zip(parts[::3], parts[2::3], strict=True):
        if not TABLES.fullmatch(title):
            for block in re.split(r"\n\s*\n", body.strip("\n")):
                yield NOT_TEXT.split(block, 1)[0]


def _unwrap(note: re.Match[str]) -> str:
    return f"\n{note[1] or ''}\n{textwrap.dedent(note[2])}\n"


def plain(paragraph: str) -> str:
    """Remove the inline markup and line breaks of a paragraph."""
    text = " ".join(paragraph.translate(TYPOGRAPHY).split())
    if SIGN.search(text):
        for pattern, replacement in MARKUP:
            text = pattern.sub(replacement, text)
    return text


def is_prose(text: str) -> bool:
    """Return whether a paragraph is English: whole sentences, no markup, little code, enough function words."""
    if not WHOLE_SENTENCES.fullmatch(text) or NOISE.search(text):
        return False
    words = WORD.findall(text)
    if len(words) < 5 or len(CODE.findall(text)) > 0.1 * len(words):
        return False
    return sum(word.lower() in FUNCTION_WORDS for word in words) >= 0.2 * len(words)


def count_sentences(text: str) -> int:
    """Count the ends of sentences in a paragraph, by punctuation and the next capital letter."""
    return len(SENTENCE_END.findall(text))
