"""The board: every question with what its studies found, in which regime, and how sure that is.

Enters: a folder of reports, judged (`bertlab.report.book.Page`). Leaves: the body of index.html, readable without
JavaScript; board.js adds the search and the filters.
"""

import math
from collections import Counter
from html import escape

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.page import file_name
from bertlab.report.answers.sentences import plain, telling, tokens_of
from bertlab.report.book import ANSWERS, COUNTED, SECTIONS, Page, has_fact, regime, summary
from bertlab.report.study.fitness import is_fit
from bertlab.report.study.scale import level_text, outcome_scale, p_text
from bertlab.report.study.verdict import reasons_against, status_word
from bertlab.report.words import listing, number, plural
from bertlab.site.page import inline
from bertlab.study.catalogue import CATALOGUE, Question, question_of, study_files
from bertlab.study.judge import Findings

BEYOND = "Beyond the list"
STATUSES = ("SUPPORTED", "REFUTED", "UNDECIDED", "not judged")
REACH = 40  # margins that the axis of effects goes to, either way
WIDTH, HEIGHT, PAD = 200, 22, 8  # of the drawing of an effect
TICKS = (-30, -10, -3, -1, 0, 1, 3, 10, 30)  # margins
INTRODUCTION = (
    "Textbooks say why BERT is built as it is. Here each such claim is <b>tested</b>: small BERTs are trained from the "
    "same seeds and differ in one thing. A line says what came out, in which <b>regime</b> (model, text, length of "
    "training), and how sure that is."
)
EARLY = "Every regime so far is <b>early training of small models</b>: no verdict is about BERT at its own size."
SOME_EARLY = "Regimes marked <i>early</i> are about early training only."


def board(page: Page) -> str:
    """Return the body of the board."""
    questions = [*CATALOGUE]
    chapters = [
        _chapter(page, title, [each for each in questions if _section(each) == start])
        for start, title in SECTIONS.items()
    ]
    parts = [_head(page), _regimes(page), _tools(page), '<div id="board">', *chapters, _beyond(page), "</div>"]
    return "\n".join(
        [*parts, '<p id="none" hidden>Nothing fits. <button type="button" id="clear">Show all</button></p>', _legend()]
    )


def chip(word: str) -> str:
    """Return a status as a coloured word."""
    return f'<span class="chip {css(word)}">{word.lower()}</span>'


def css(word: str) -> str:
    """Return what a status is called in the style sheet."""
    return word.lower().replace(" ", "-")


def short_regime(findings: Findings) -> str:
    """Return model, tokens and text in a few words."""
    facts = findings.record.facts
    corpus = facts.get("corpus", "").partition(";")[0]
    known = [words for name, words in ENGLISH.corpora.items() if name in corpus]
    return f"{facts.get('model', '')}; {number(tokens_of(findings) / 1e6, 1)} M tokens of {listing(known) or corpus}"


def effect_mark(findings: Findings, words: str) -> str:
    """Draw the difference that a status hangs on, with its interval, in units of the margin; positive is worse."""
    own = telling(findings).verdict.interval
    if not math.isfinite(own.low):
        return ""
    low, mean, high = (_place(value / findings.margin) for value in (own.low, own.mean, own.high))
    zone = _place(-1), _place(1)
    kind = css(status_word(findings))
    middle = HEIGHT // 2
    return (
        f'<svg class="mark {kind}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">'
        f'<rect class="zone" x="{zone[0]}" y="2" width="{zone[1] - zone[0]:.1f}" height="{HEIGHT - 4}"/>'
        f'<path class="zero" d="M{WIDTH // 2} 0V{HEIGHT}"/><path class="bar" d="M{low} {middle}H{high}"/>'
        f'<circle cx="{mean}" cy="{middle}" r="4"/></svg>'
    )


def _place(margins: float) -> float:
    """Return where an effect lies on the drawing: linear near the margin, logarithmic beyond."""
    share = math.copysign(math.log2(1 + min(abs(margins), REACH)) / math.log2(1 + REACH), margins)
    return round(WIDTH / 2 + (WIDTH / 2 - PAD) * share, 1)


def _section(question: Question) -> str:
    return question.number.partition(" ")[0]


def _head(page: Page) -> str:
    counts = Counter(status_word(each) for each in page.studies.values())
    facts = sum(has_fact(page, question) for question in CATALOGUE)
    tiles = [_tile(word, counts[word]) for word in STATUSES] + [_tile("fact", facts)]
    every = all(is_fit(each) is not True for each in page.studies.values())
    return (
        f'<section class="hero"><h1>What holds in BERT’s design?</h1><p class="lead">{INTRODUCTION}</p>'
        f'<p class="caveat">{EARLY if every else SOME_EARLY}</p><div class="tiles" role="group" '
        f'aria-label="Show by status">{"".join(tiles)}</div><details class="small"><summary>In numbers</summary>'
        f"<p>{inline(summary(page))}</p></details></section>"
    )


def _tile(word: str, count: int) -> str:
    about = {
        "SUPPORTED": "the claim held",
        "REFUTED": "the claim was wrong here",
        "UNDECIDED": "the runs do not tell",
        "not judged": "the study could not see",
        "fact": "decided by the code itself",
    }[word]
    return (
        f'<button type="button" class="tile {css(word)}" aria-pressed="false" data-status="{css(word)}"><b>{count}</b> '
        f"<span>{word.lower()}</span><small>{about}</small></button>"
    )


def _regimes(page: Page) -> str:
    """Return a card for each regime: what was trained on what, and what its studies found."""
    cards = []
    for words, name in page.regimes.items():
        own = [findings for findings in page.studies.values() if regime(findings) == words]
        counts = Counter(status_word(findings) for findings in own)
        parts = "".join(f'<i class="{css(word)}" style="flex:{counts[word]}"></i>' for word in STATUSES if counts[word])
        told = listing(f"{counts[word]} {word.lower()}" for word in STATUSES if counts[word])
        early = " · early" if any(is_fit(findings) is False for findings in own) else ""
        cards.append(
            f'<button type="button" class="regime" aria-pressed="false" data-regime="{name}" title="{escape(words)}">'
            f"<b>{name}</b> {plural(len(own), 'study').replace('studys', 'studies')}{early}<small>{escape(short_regime(own[0]))}</small>"
            f'<span class="stack" role="img" aria-label="{told}">{parts}</span></button>'
        )
    return f'<section aria-labelledby="regimes"><h2 id="regimes">Regimes</h2><div class="regimes">{"".join(cards)}</div></section>'


def _tools(page: Page) -> str:
    sections = "".join(f'<option value="{start}">{title}</option>' for start, title in SECTIONS.items())
    return (
        '<section class="tools" aria-label="Find"><label>Search <input id="search" type="search" '
        'placeholder="heads, warm-up, [MASK] …"></label><label>Part <select id="section"><option value="">all</option>'
        f'{sections}</select></label><label>Order <select id="order"><option value="question">by question</option>'
        '<option value="regime">by regime</option><option value="sure">surest first</option></select></label>'
        '<label><input id="pending" type="checkbox"> not yet run</label><output id="shown" aria-live="polite"></output>'
        f'</section><div class="axis" aria-hidden="true">{_axis()}</div>'
    )


def _axis() -> str:
    """Draw the axis that all effects of the board share."""
    ticks = "".join(
        f'<text x="{_place(tick)}" y="24">{abs(tick)}</text><path class="zero" d="M{_place(tick)} 27v4"/>'
        for tick in TICKS
    )
    return f'<svg class="mark" viewBox="0 0 {WIDTH} 32"><text x="{PAD}" y="10" class="start">← better</text><text x="{WIDTH - PAD}" y="10" class="end">worse →</text>{ticks}</svg>'


def _chapter(page: Page, title: str, questions: list[Question]) -> str:
    questions.sort(key=lambda question: int(question.number.partition(" ")[2] or 0))
    own = "\n".join(_question(page, question) for question in questions)
    return f'<section class="chapter" data-section="{_section(questions[0])}"><h2>{title}</h2>\n{own}</section>'


def _question(page: Page, question: Question) -> str:
    names = {name for name in (*study_files(), *page.studies) if question_of(name) == question}
    lines = [_fact(page, question)] if has_fact(page, question) else []
    lines += [_line(page, name) for name in sorted(names) or [question.id]] if question.study else []
    links = [
        f'<a href="{ANSWERS}/{file_name(question.id, code).replace(".md", ".html")}"{lang}>{words}</a>'
        for code, lang, words in (("en", "", escape(question.words)), ("zh", ' lang="zh" class="zh"', "中文"))
        if (page.folder / ANSWERS / file_name(question.id, code)).is_file()
    ] or [escape(question.words)]
    return f'<article class="question" id="{question.id}"><h3>{" ".join(links)}</h3><ul>{"".join(lines)}</ul></article>'


def _beyond(page: Page) -> str:
    own = [name for name in page.studies if question_of(name) is None]
    if not own:
        return ""
    cards = (
        f'<article class="question"><h3>{escape(page.studies[name].study.question)}</h3><ul>{_line(page, name)}</ul></article>'
        for name in own
    )
    return f'<section class="chapter" data-section="beyond"><h2>{BEYOND}</h2>{"".join(cards)}</section>'


def _fact(page: Page, question: Question) -> str:
    stated = f'<a href="facts.html#{question.id}">The code itself decides a part of it; a test asserts it.</a>'
    return f'<li class="line" data-status="fact"><span class="chip fact">fact</span><p>{stated}</p></li>'


def _line(page: Page, name: str) -> str:
    """Return the line of a study: status, what came out in plain words, regime, effect and q."""
    findings = page.studies.get(name)
    if findings is None:
        return f'<li class="line pending" data-status="pending"><span class="chip pending">not yet run</span><p>{escape(name)}</p></li>'
    word, against = status_word(findings), reasons_against(findings)
    said = inline(f"It could not be judged: {'; '.join(against)}." if against else plain(findings, ENGLISH))
    told = telling(findings)
    sure = (
        ""
        if against
        else f'<span class="q" title="share of false claims among those as sure">q {p_text(page.q[name])}</span>'
    )
    mark = "" if against else effect_mark(findings, _effect_words(findings))
    firm = "" if against or page.q[name] > COUNTED else " firm"
    return (
        f'<li class="line{firm}" data-status="{css(word)}" data-regime="{page.regimes[regime(findings)]}" '
        f'data-sure="{1 if against else page.q[name]:.4f}">{chip(word)}<p><a href="studies/{name}.html">{said}</a> '
        f"<small>{told.verdict.words if not against else ''}</small></p>"
        f'<span class="where">{page.regimes[regime(findings)]} · {plural(findings.seeds, "seed")}</span>{mark}{sure}</li>'
    )


def _effect_words(findings: Findings) -> str:
    """Say the drawn effect in words."""
    told, scale = telling(findings), outcome_scale(findings)
    between = scale.between(told.interval.low, told.interval.high)
    return (
        f"{told.arm} against {told.against}: {scale.signed(told.contrast.mean)} {scale.apart}, {level_text(told.interval.level)} "
        f"interval {between}, margin {number(scale.factor * findings.margin, scale.decimals)}"
    )


def _legend() -> str:
    return (
        '<section class="small" aria-labelledby="reading"><h2 id="reading">How to read a line</h2><dl>'
        "<dt>The drawing</dt><dd>A dot is the difference between two designs, the bar its interval over seeds. The grey "
        "band is the <b>margin</b>: what was declared too small to matter, before the runs. All drawings share one axis, in "
        "margins; right of the middle is worse.</dd>"
        "<dt>Supported, refuted, undecided</dt><dd>What became of the claim that was written down before the runs. "
        "Undecided is no evidence of equality.</dd>"
        "<dt>q</dt><dd>Of all claims at least as sure as this one, the share that is expected to be false. Bold: at most "
        f"{COUNTED}.</dd><dt>clearly</dt><dd>By more than the margin.</dd></dl>"
        '<p><a href="rule.html">Move the numbers yourself and see when a verdict changes.</a></p></section>'
    )
