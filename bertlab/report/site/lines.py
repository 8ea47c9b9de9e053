"""A line of the board: a study's result, its regime, the effect on the common axis, its certainty.

Enters: a study of the book, judged. Leaves: HTML.
"""

import math
from html import escape

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.sentences import plain, telling, tokens_of
from bertlab.report.book import COUNTED
from bertlab.report.book_page import Page
from bertlab.report.ladder import sentence
from bertlab.report.regime import regime
from bertlab.report.site.page import inline
from bertlab.report.stated import source_of, stated
from bertlab.report.study.marks import BETTER, SAME, WORSE, mark_of
from bertlab.report.study.names import named
from bertlab.report.study.scale import level_text, outcome_scale, p_text
from bertlab.report.study.verdict import reasons_against, status_word
from bertlab.report.words import listing, number, plural
from bertlab.study.judge import Findings
from bertlab.study.labels import label
from bertlab.study.onset import onsets_in

REACH = 40  # end of the axis of effects on both sides, in margins
WIDTH, HEIGHT, PAD = 200, 20, 8  # of an effect's drawing
SHAPES = {  # of a verdict, in a path from the middle of its mark; as in static/charts.js
    WORSE: "m0 6l6-11h-12z",
    BETTER: "m0-6l6 11h-12z",
    SAME: "m-5-5h10v10h-10z",
}
CIRCLE = "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0"  # of a verdict that leaves the difference open
TICKS = (-30, -10, -3, -1, 0, 1, 3, 10, 30)  # margins


def line(page: Page, name: str) -> str:
    """Return the line of a study."""
    findings = page.studies.get(name)
    if findings is None:
        return _item("pending", "", chip("not yet run"), f"<p>{escape(name)}</p>")
    where = page.regimes[regime(findings)]
    word, reasons = status_word(findings), reasons_against(findings)
    link = f'<p><a href="studies/{name}.html">'
    place = f'<span class="where">{where} · {plural(findings.seeds, "seed")}</span>'
    if reasons:
        said = escape(f"It could not be judged: {'; '.join(reasons)}.")
        return _item(css(word), f' data-regime="{where}"', chip(word), f"{link}{said}</a></p>", place)
    verdict = f"<small>{telling(findings).verdict.words}</small>"
    said, q = inline(plain(findings, ENGLISH)) + (along(page, name) or _unbegun(findings)), page.q[name]
    sure = f'<span class="q{" firm" if q <= COUNTED else ""}">q {p_text(q)}</span>'
    about = f' data-regime="{where}" data-sure="{q:.4f}"'
    return _item(css(word), about, chip(word), f"{link}{said}</a> {verdict}</p>", place, mark(findings), sure)


def along(page: Page, name: str) -> str:
    """Describe the effect of the deciding arm along a ladder; "" for other studies."""
    ladder, arm = page.ladders.get(name), telling(page.studies[name]).arm
    return f" {inline(sentence(ladder, arm))}." if ladder and ladder.arms[arm] else ""


def _unbegun(findings: Findings) -> str:
    """Name runs of the deciding arm that never began to use context; "" if all did."""
    arm = telling(findings).arm
    found = onsets_in(findings, arm)
    if not found.never or found.is_misled:
        return ""
    return f" {found.never} of {found.n} runs with {inline(named(findings.study, arm))} never used context."


def chip(word: str) -> str:
    """Return a status as a coloured word."""
    kind = "pending" if word == "not yet run" else css(word)
    return f'<span class="chip {kind}">{word.lower()}</span>'


def css(word: str) -> str:
    """Return a status' name in the style sheet."""
    return word.lower().replace(" ", "-")


def fact_line(question: str) -> str:
    """Return the line of a question that the code itself answers."""
    stated = f'<p><a href="facts.html#{question}">The code itself decides a part of it; a test asserts it.</a></p>'
    return _item("fact", "", chip("fact"), stated)


def short_regime(findings: Findings) -> str:
    """Return model, tokens and text in a few words."""
    corpus = source_of(findings.record)
    known = [words for name, words in ENGLISH.corpora.items() if name in corpus]
    tokens = f"{number(tokens_of(findings) / 1e6, 1)} M tokens"
    return f"{stated(findings.record, 'model')}; {tokens} of {listing(known) or corpus}"


def mark(findings: Findings) -> str:
    """Draw the deciding difference with its interval, in units of the margin; positive is worse."""
    told = telling(findings)
    own, shape = told.verdict.interval, SHAPES.get(mark_of(told), CIRCLE)
    if not math.isfinite(own.low):
        return ""
    low, mean, high = (place(value / findings.margin) for value in (own.low, own.mean, own.high))
    return (
        f'<svg class="mark {css(status_word(findings))}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_words(findings))}"><path class="zone" d="M{place(-1)} 2H{place(1)}V18H{place(-1)}z"/>'
        f'<path class="zero" d="M100 0V20"/><path class="bar" d="M{low} 10H{high}"/>'
        f'<path class="dot" d="M{mean} 10{shape}"/></svg>'
    )


def axis() -> str:
    """Draw the common axis of the board."""
    ticks = (f'<text x="{place(at)}" y="24">{abs(at)}</text><path class="zero" d="M{place(at)} 27v4"/>' for at in TICKS)
    sides = f'<text x="{PAD}" y="10" class="start">← better</text><text x="{WIDTH - PAD}" y="10" class="end">worse →'
    return f'<svg class="mark" viewBox="0 0 {WIDTH} 32">{sides}</text>{"".join(ticks)}</svg>'


def place(margins: float) -> float:
    """Return the position of an effect: nearly linear within the margin, logarithmic beyond."""
    share = math.copysign(math.log2(1 + min(abs(margins), REACH)) / math.log2(1 + REACH), margins)
    return round(WIDTH / 2 + (WIDTH / 2 - PAD) * share, 1)


def _item(status: str, about: str, *parts: str) -> str:
    return f'<li class="line" data-status="{status}"{about}>{"".join(parts)}</li>'


def _words(findings: Findings) -> str:
    told, scale = telling(findings), outcome_scale(findings)
    interval = f"{level_text(told.interval.level)} interval {scale.between(told.interval.low, told.interval.high)}"
    margin = number(scale.factor * findings.margin, scale.decimals)
    size = f"{scale.signed(told.contrast.mean)} {scale.apart}"
    return f"{label(findings.study, told.arm)}: {size}, {interval}, margin {margin}"
