"""The page of a study: its results in words, and the elements in which study.js draws its charts.

Enters: a study of the book, judged. Leaves: HTML.
"""

from html import escape

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.sentences import plain
from bertlab.report.answers.write import ANSWERS
from bertlab.report.book_page import Page
from bertlab.report.regime import regime
from bertlab.report.site.data import study_data
from bertlab.report.site.ladder import ladder_data
from bertlab.report.site.lines import along, chip, short_regime
from bertlab.report.site.page import inline, page
from bertlab.report.study.fitness import FAMILY, known_answers, right_answers, start_words
from bertlab.report.study.limits import fact
from bertlab.report.study.scale import outcome_scale, p_text
from bertlab.report.study.verdict import headline, reasons_against, status_word
from bertlab.report.words import count, listing, number, plural
from bertlab.study.catalogue import question_of
from bertlab.study.judge import Findings
from bertlab.study.labels import label
from bertlab.study.onset import onsets_in

SCRIPTS = ("plot-d3.min.js", "rule.js", "charts.js", "study.js")
CHARTS = "".join(f'<section id="{name}"></section>' for name in ("forest", "ladder", "slopes", "curves"))
NO_SCRIPT = '<noscript><p class="caveat">The charts and their tables need JavaScript.</p></noscript>'


def study_page(book: Page, name: str) -> str:
    """Return the page of a study of the book."""
    findings = book.studies[name]
    data = study_data(findings) | {"name": name, "about": _about(book, findings)}
    if name in book.ladders:
        data |= {"ladder": ladder_data(book.ladders[name])}
    body = "\n".join([_opening(book, name, findings), NO_SCRIPT, CHARTS, _repeat(findings)])
    return page(f"{findings.study.question} – bertlab", body, root="../", scripts=SCRIPTS, data=data)


def _opening(book: Page, name: str, findings: Findings) -> str:
    judged = not reasons_against(findings)
    parts = [_crumbs(book, name), f"<h1>{escape(findings.study.question)}</h1>"]
    parts += [f"<p>{chip(status_word(findings))}</p>"]
    said = inline(plain(findings, ENGLISH)) + along(book, name) if judged else escape(headline(findings))
    if findings.study.family == FAMILY:
        said = f"<b>{known_answers(findings).capitalize()}.</b> {said}"
    parts += [f'<p class="lead">{said}</p>']
    facts = "".join(f"<div><dt>{about}</dt><dd>{told}</dd></div>" for about, told in _facts(book, name).items())
    return "".join([*parts, f'<dl class="facts">{facts}</dl><p>Claim: “{escape(findings.study.claim)}”</p>'])


def _crumbs(book: Page, name: str) -> str:
    question = question_of(name)
    parts = ['<a href="../index.html">Board</a>', escape(name)]
    if question and (book.folder / ANSWERS / f"{question.id}.md").is_file():
        parts.append(f'<a href="../{ANSWERS}/{question.id}.html">the answer in plain words</a>')
    return f'<p class="crumbs">{" › ".join(parts)}</p>'


def _facts(book: Page, name: str) -> dict[str, str]:
    """Return the facts that a reader needs to judge a verdict."""
    findings = book.studies[name]
    scale = outcome_scale(findings)
    margin = f"{number(scale.factor * findings.margin, scale.decimals)} {scale.apart}"
    facts = {
        f"Regime {book.regimes[regime(findings)]}": f"{short_regime(findings)}; {plural(findings.seeds, 'seed')}",
        "Judged by": f"{findings.outcome.words}; margin {margin}",
        "When learning starts": start_words(findings) + _late(findings),
        "Known answers": _known(book, findings),
    }
    if not reasons_against(findings):
        facts["q (share of false claims among those as sure)"] = p_text(book.q[name])
    return {about: escape(told) for about, told in facts.items()}


def _late(findings: Findings) -> str:
    """Name the arms that the claim mentions with runs that never began to use context."""
    found = {arm: onsets_in(findings, arm) for arm in findings.primary}
    late = [
        f"{label(findings.study, arm)}{f' ({own.never} of {own.n} runs)' * (own.never < own.n)}"
        for arm, own in found.items()
        if own.never and not own.is_misled
    ]
    every = len(late) > 1 and all(own.never == own.n for own in found.values())
    return f"; never with {'any other arm of the claim' if every else listing(late)}" if late else ""


def _known(book: Page, findings: Findings) -> str:
    """Describe how many known answers the regime gives; the study of known answers says so in its first line."""
    known = book.known.get(regime(findings))
    found = right_answers(known) if known else None
    if not found:
        return "could not be judged" if known else "this regime was not asked for any"
    return f"{count(found[0])} of {count(found[1])} found in this regime"


def _repeat(findings: Findings) -> str:
    command, registration = (escape(fact(findings, name)) for name in ("command", "registration"))
    return (
        f'<section><h2>Repeat it</h2><pre tabindex="0"><code id="command">{command}</code></pre>'
        f'<p class="tools" id="take"></p><p class="small">Registered as {registration}. Remarks, limits and every run: '
        f"<code>{escape(findings.study.place)}.md</code> among the reports.</p></section>"
    )


def _about(book: Page, findings: Findings) -> dict[str, str]:
    """Return the text about citation."""
    facts = findings.record.facts
    about = {"status": status_word(findings), "regime": book.regimes[regime(findings)]}
    about |= {name: facts.get(name, "") for name in ("version", "registration")}
    return {name: text for name, text in {**about, "year": facts.get("registered", "")[:4]}.items() if text}
