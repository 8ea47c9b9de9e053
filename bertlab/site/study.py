"""The page of a study: what it found in words and a table, and the places that study.js draws its charts in.

Enters: a study of the book, judged. Leaves: HTML.
"""

from html import escape

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.sentences import plain
from bertlab.report.book import ANSWERS, Page, regime
from bertlab.report.study.fitness import start_words
from bertlab.report.study.limits import fact
from bertlab.report.study.scale import outcome_scale, p_text
from bertlab.report.study.verdict import headline, reasons_against, status_word
from bertlab.report.words import number, plural
from bertlab.site.board import chip, short_regime
from bertlab.site.data import study_data
from bertlab.site.page import inline, page
from bertlab.study.catalogue import question_of
from bertlab.study.judge import Findings
from bertlab.study.ladder import Ladder, is_ladder, read_ladder

SCRIPTS = ("d3.min.js", "plot.min.js", "rule.js", "charts.js", "study.js")


def study_page(book: Page, name: str) -> str:
    """Return the page of a study of the book."""
    findings = book.studies[name]
    ladder = read_ladder(book.folder / name) if is_ladder(book.folder / name) else None
    body = "\n".join([_opening(book, name, findings), _charts(ladder), _repeat(findings)])
    data = study_data(findings, ladder) | {"name": name, "about": _about(book, name, findings)}
    return page(f"{findings.study.question} – bertlab", body, root="../", scripts=SCRIPTS, data=data)


def _opening(book: Page, name: str, findings: Findings) -> str:
    question, scale = question_of(name), outcome_scale(findings)
    answer = (
        f' · <a href="../{ANSWERS}/{question.id}.html">the answer in plain words</a>'
        if question and (book.folder / ANSWERS).is_dir()
        else ""
    )
    said = "" if reasons_against(findings) else f'<p class="lead">{inline(plain(findings, ENGLISH))}</p>'
    sure = "" if reasons_against(findings) else f"<div><dt>q</dt><dd>{p_text(book.q[name])}</dd></div>"
    return (
        f'<p class="crumbs"><a href="../index.html">Board</a> › {escape(name)}{answer}</p>'
        f"<h1>{escape(findings.study.question)}</h1><p>{chip(status_word(findings))}</p>{said}"
        f'<dl class="facts"><div><dt>Regime {book.regimes[regime(findings)]}</dt><dd>{escape(short_regime(findings))}; {plural(findings.seeds, "seed")}</dd></div>'
        f"<div><dt>Margin</dt><dd>{number(scale.factor * findings.margin, scale.decimals)} {scale.apart} of {escape(findings.study.outcome)}</dd></div>"
        f"{sure}<div><dt>When learning starts</dt><dd>{inline(start_words(findings))}</dd></div></dl>"
        f"<p>{escape(headline(findings))}</p>"
    )


def _charts(ladder: Ladder | None) -> str:
    climbed = '<section id="ladder" aria-label="Scale"></section>' if ladder else ""
    return (
        '<noscript><p class="caveat">The charts and their tables need JavaScript.</p></noscript>'
        '<section id="forest" aria-label="Differences"></section>'
        f"{climbed}"
        '<section id="slopes" aria-label="Seeds"></section><section id="curves" aria-label="Curves"></section>'
    )


def _repeat(findings: Findings) -> str:
    return (
        '<section id="repeat"><h2>Repeat it</h2><pre tabindex="0"><code id="command">'
        f'{escape(fact(findings, "command"))}</code></pre><p class="tools" id="take"></p>'
        f'<p class="small">Registered as {escape(fact(findings, "registration"))}; every number with its remarks and limits: '
        f"<code>{escape(findings.study.place)}.md</code> among the reports.</p></section>"
    )


def _about(book: Page, name: str, findings: Findings) -> dict[str, str]:
    """Return what a citation says."""
    facts = findings.record.facts
    about = {
        "status": status_word(findings),
        "regime": book.regimes[regime(findings)],
        "version": facts.get("version", ""),
        "registration": facts.get("registration", ""),
        "year": facts.get("registered", "")[:4],
    }
    return {key: value for key, value in about.items() if value}
