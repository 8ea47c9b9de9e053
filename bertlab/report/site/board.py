"""The board: every question with its studies' results, their regimes, and their certainty.

Enters: a folder of reports, judged (`bertlab.report.book_page.Page`). Leaves: the body of index.html, readable without
JavaScript; board.js adds the search and the filters.
"""

from collections import Counter
from collections.abc import Sequence
from html import escape
from string import Template

from bertlab.report.answers.page import file_name
from bertlab.report.answers.sentences import is_early
from bertlab.report.answers.write import ANSWERS
from bertlab.report.book import COUNTED, SECTIONS, caveat, summary
from bertlab.report.book_page import Page, has_fact
from bertlab.report.regime import regime
from bertlab.report.site.lines import axis, css, fact_line, line, short_regime
from bertlab.report.site.page import HERE, inline
from bertlab.report.site.scale import scale_table
from bertlab.report.study.fitness import by_trust, known_answers
from bertlab.report.study.verdict import status_word
from bertlab.report.words import count, listing, plural
from bertlab.study.catalogue import CATALOGUE, Question, question_of, study_files
from bertlab.study.judge import Findings

BEYOND = "Beyond the list"
STATUSES = ("SUPPORTED", "REFUTED", "UNDECIDED", "not judged")
MEANINGS = {
    "SUPPORTED": "the claim held",
    "REFUTED": "the claim was wrong here",
    "UNDECIDED": "the runs do not tell",
    "not judged": "the study could not see",
    "facts": "decided by the code itself",
}


def board(page: Page) -> str:
    """Return the body of the board."""
    template = Template((HERE / "board.html").read_text("utf-8"))
    return template.substitute(
        caveat=inline(caveat(page)),
        tiles="".join(_tile(word, n) for word, n in _counts(page).items()),
        summary=inline(summary(page)),
        scale=scale_table(page),
        **_regimes(page),
        sections="".join(f'<option value="{start}">{title}</option>' for start, title in SECTIONS.items()),
        axis=axis(),
        chapters="\n".join([*(_chapter(page, start) for start in SECTIONS), _beyond(page)]),
        counted=COUNTED,
    )


def _counts(page: Page) -> dict[str, int]:
    """Return how many studies have each status, and how many facts there are."""
    found = Counter(status_word(findings) for findings in page.studies.values())
    facts = sum(has_fact(page, question) for question in CATALOGUE)
    return {**{word: found[word] for word in STATUSES}, "facts": facts}


def _tile(word: str, n: int) -> str:
    kind = "fact" if word == "facts" else css(word)
    return (
        f'<button type="button" class="tile {kind}" aria-pressed="false" data-status="{kind}"><b>{count(n)}</b> '
        f"<span>{word.lower()}</span><small>{MEANINGS[word]}</small></button>"
    )


def _regimes(page: Page) -> dict[str, str]:
    """Return the buttons of all regimes; those of a single study are collapsed."""
    studies = {words: [each for each in page.studies.values() if regime(each) == words] for words in page.regimes}
    buttons = {words: _regime(page.regimes[words], own, page.known.get(words)) for words, own in studies.items()}
    single = [words for words, own in studies.items() if len(own) == 1]
    folded = "".join(buttons[words] for words in single)
    title = f"{plural(len(single), 'more regime')}, each of one study"
    return {
        "regimes": "".join(buttons[words] for words in buttons if words not in single),
        "single": f'<details class="small"><summary>{title}</summary><div class="regimes">{folded}</div></details>'
        if single
        else "",
    }


def _regime(name: str, own: Sequence[Findings], known: Findings | None) -> str:
    """Return the button of a regime: its data and training, and its studies' results."""
    found = Counter(status_word(findings) for findings in own)
    there = [word for word in STATUSES if found[word]]
    parts = "".join(f'<i class="{css(word)}" style="flex:{found[word]}"></i>' for word in there)
    told = listing(f"{found[word]} {word.lower()}" for word in there)
    early = ", early" if any(map(is_early, own)) else ""
    about = "; ".join([short_regime(own[0]), *([known_answers(known)] if known else [])])
    return (
        f'<button type="button" class="regime" aria-pressed="false" data-regime="{name}">'
        f"<span><b>{name}</b> {_studies(own)}{early}</span><small>{escape(about)}</small>"
        f'<span class="stack" role="img" aria-label="{told}">{parts}</span></button>'
    )


def _studies(own: Sequence[Findings]) -> str:
    return f"{count(len(own))} {'study' if len(own) == 1 else 'studies'}"


def _chapter(page: Page, start: str) -> str:
    own = [question for question in CATALOGUE if question.number.partition(" ")[0] == start]
    own.sort(key=lambda question: int(question.number.partition(" ")[2] or 0))
    cards = "\n".join(_question(page, question) for question in own)
    return f'<section class="chapter" data-section="{start}"><h2>{SECTIONS[start]}</h2>\n{cards}</section>'


def _question(page: Page, question: Question) -> str:
    names = {name for name in (*study_files(), *page.studies) if question_of(name) == question}
    lines = [fact_line(question.id)] if has_fact(page, question) else []
    lines += [line(page, name) for name in by_trust(names, page.studies) or [question.id]] if question.study else []
    links = [_answer(page, question, "en", escape(question.words)), _answer(page, question, "zh", "中文")]
    return _card(question.id, " ".join(filter(None, links)) or escape(question.words), lines)


def _answer(page: Page, question: Question, code: str, words: str) -> str:
    name = file_name(question.id, code)
    if not (page.folder / ANSWERS / name).is_file():
        return ""
    lang = "" if code == "en" else f' lang="{code}" class="{code}"'
    return f'<a href="{ANSWERS}/{name.removesuffix(".md")}.html"{lang}>{words}</a>'


def _beyond(page: Page) -> str:
    """Return the studies without a question of the catalogue."""
    own = [name for name in page.studies if question_of(name) is None]
    cards = [_card(name, escape(page.studies[name].study.question), [line(page, name)]) for name in own]
    chapter = f'<section class="chapter" data-section="beyond"><h2>{BEYOND}</h2>{"".join(cards)}</section>'
    return chapter if cards else ""


def _card(name: str, title: str, lines: Sequence[str]) -> str:
    return f'<article class="question" id="{name}"><h3>{title}</h3><ul>{"".join(lines)}</ul></article>'
