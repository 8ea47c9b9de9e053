"""The answer book: README.md of a folder of reports, with every question of the catalogue, its fact and its studies.

Enters: a folder with `facts.md` and the records of studies (<id>/study.json and other files); each may be missing.
Leaves: README.md, with the status of every question, and rules.md if studies were judged again. Written by `python -m
bertlab.report book=FOLDER`; equal folders give equal bytes.
"""

from collections import Counter
from itertools import chain
from pathlib import Path

from bertlab.config.errors import InputError
from bertlab.report.answers.sentences import is_early
from bertlab.report.answers.write import ANSWERS, write_answers
from bertlab.report.book_page import Page, has_fact, is_stated, read_book
from bertlab.report.book_rows import HEADER, question_rows, study_cells
from bertlab.report.ladder import predictions_words
from bertlab.report.regime import regime
from bertlab.report.rules import RULES, rules
from bertlab.report.study.fitness import LATEST, MEDIAN, UNFIT, left_at, trust_words
from bertlab.report.study.verdict import READING, reasons_against
from bertlab.report.table import Table
from bertlab.report.words import count, escape, listing, number, percent, plural
from bertlab.report.write import put
from bertlab.stats.claim import Finding
from bertlab.stats.rule import Kind
from bertlab.study.catalogue import CATALOGUE, question_of, study_files

BOOK = "README.md"
SECTIONS = {
    "text": "Stated in the text",
    "BERT": "About BERT",
    "Transformer": "About the Transformer",
    "self-attention": "About self-attention",
}
FITNESS = (
    "A regime is fit for claims when its baseline leaves the plateau of word frequencies early, within "
    f"{percent(MEDIAN)} % of the budget in the median and {percent(LATEST)} % in every run; when equal runs differ "
    "little, by a standard deviation of a third of the margin at most; and when it gives answers that are known: twice "
    "the layers, or four times the inner width, are better; no feed-forward layer, no positions, or learning from left "
    "to right are worse. A verdict from a regime that starts later, differs more or gives other answers is about "
    f"*{UNFIT}*."
)
LADDERS = (
    "A ladder asks a question at several sizes and budgets; its row above shows the highest that has run. Before a "
    "rung is run, the interval in which each arm should fall at 80 % is registered from the rungs below."
)
EARLY = "Every regime so far is **early training of small models**: no verdict is about BERT at its own size."
SOME_EARLY = "Regimes marked **early** are about early training only; no verdict is about BERT at its own size."
INTRODUCTION = """\
The questions are about how BERT is designed, from a list of questions and answers of 2021; each has a row for its fact
and one for each of its studies. A **fact** is decided by the code itself: a count, an equality, a leak; a test asserts
it. A **study** is an experiment: several variants (arms) of a small BERT are trained from the same seeds, scored on the
same hidden tokens of held-out text, and each is compared with the baseline arm, seed by seed.

A question that is a link leads to its answer: what the thing is, how it works, what was measured here, what others
found, and three questions to test oneself, in English and in Chinese.

How to read a study's row:

- **In plain words**: how the arms came out that the status hangs on. *Clearly* means by more than the margin.
- **Claim**: what was written down before the runs, and is judged. *Worse* and *better* are about the sign of the
  difference, *materially* is about more than the margin. Where the registered words said another thing than the
  registered test asks for, the claim is worded as it is tested, and the study's page shows both.
- **Status**: what became of the claim: SUPPORTED, REFUTED or UNDECIDED, or that it could not be judged and why. Behind
  it stands the verdict on the comparison that this hangs on: the least sure one of a claim that is supported, since all
  its comparisons must support it; else the largest of those that refute it or leave it undecided.
- **q**: the share of false ones among all claims of this page that are at least as sure (Benjamini and Hochberg, over
  one p for each claim: that of its status, doubled, as it could have been supported or refuted). A status is never
  changed by it, nor by any later study.
- **Effect**: the mean difference of that comparison with its interval over seeds. For losses, in nats, a minus sign
  means better than the arm it is compared with; for shares of right answers, in percentage points, worse.
- **Margin**: the smallest difference that was declared to matter, before the runs. Two arms are equivalent only where
  the whole interval lies inside it; an interval that merely holds zero shows nothing.
- **Made of**: whether that difference of losses is mostly a later start (the arm leaves the plateau of word
  frequencies later in training) or mostly what comes after the start. *Only ... is sure*: the other part may be as
  large. *At equal onset*: known only by curves counted from their own start. *Never started*: runs that were still on
  the plateau when training ended. *Started before the first evaluation*: when is not known.
- **Regime**: what was trained on what, as the end of this page lists it, and over how many seeds. A verdict holds for
  its regime, not for every BERT; *early training only* is said of a regime in which runs leave the plateau of word
  frequencies late, so that differences may be about when they leave.

Studies that were registered under an earlier rule of verdicts are judged again from their own numbers; [what changed
and every status that moved](rules.md)."""
COUNTED = 0.05  # largest q of a status that counts as known


def write_book(folder: Path) -> Path:
    """Write the answer book of a folder and return its path; also write the answers if the folder has some.

    Raises InputError for a missing folder and for a record in it that cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"book must be a folder that is there, got {folder}; name the one that holds the reports")
    page = read_book(folder)
    if (folder / ANSWERS).is_dir():
        write_answers(folder, page.studies)
    files = {BOOK: _book(page).encode()}
    if any(findings.record.rule for findings in page.studies.values()):
        files[RULES] = rules(page.studies).encode()
    put(files, folder, gone=[RULES])
    return folder / BOOK


def book(folder: Path) -> str:
    """Return the answer book as markdown."""
    return _book(read_book(folder))


def _book(page: Page) -> str:
    first = "<!-- Generated by python -m bertlab.report book=FOLDER; do not edit. -->"
    chapters = [_chapter(page, title, start) for start, title in SECTIONS.items()]
    ends = [_beyond(page), _ladders(page), _regimes(page), _legend(page)]
    parts = [first, "# The answer book", caveat(page), summary(page), INTRODUCTION, *chapters, *ends]
    return "\n\n".join(filter(None, parts)) + "\n"


def caveat(page: Page) -> str:
    """Describe the scale for which it holds."""
    return EARLY if all(map(is_early, page.studies.values())) else SOME_EARLY


def summary(page: Page) -> str:
    """Describe how many questions are answered."""
    facts = [is_stated(page, question) for question in CATALOGUE if has_fact(page, question)]
    run = page.studies.values()
    known = {*study_files(), *page.studies}
    judged = [findings.finding for findings in run if not reasons_against(findings)]
    found = [f"{count(judged.count(each))} {each.value}" for each in Finding]
    found.append(f"{count(len(run) - len(judged))} that could not be judged")
    return (
        f"{count(len(CATALOGUE))} questions. Facts stated: {count(sum(facts))} of {count(len(facts))}. "
        f"Studies run: {count(len(run))} of {count(len(known))}{f': {listing(found)}' if run else ''}."
        f"{_sure(page) if run else ''}"
    )


def _sure(page: Page) -> str:
    """Count the claims that are significant among all, and how many of these chance alone would make false."""
    sure = Counter(page.studies[name].finding for name, q in page.q.items() if q <= COUNTED)
    total = sum(sure.values())
    by_finding = listing(f"{count(sure[each])} {each.value}" for each in (Finding.SUPPORTED, Finding.REFUTED))
    before = [earlier for findings in page.studies.values() for earlier in findings.record.rule.get("before", [])]
    again = f" ({plural(len(before), 'earlier registration')} of the same claim among them)" if before else ""
    return (
        f" Over all {count(len(page.q) + len(before))} claims together{again}, {count(total)} have a q of "
        f"{number(COUNTED, 2)} or less: {by_finding}. At most {number(COUNTED * total, 1)} of these are expected to be "
        "false."
    )


def _chapter(page: Page, title: str, start: str) -> str:
    own = [question for question in CATALOGUE if question.number.partition(" ")[0] == start]
    own.sort(key=lambda question: int(question.number.partition(" ")[2] or 0))
    rows = [row for question in own for row in question_rows(page, question)]
    return "\n\n".join([f"## {title}", Table(HEADER, rows, left=len(HEADER)).markdown()])


def _beyond(page: Page) -> str:
    """Return the studies without a question of the catalogue."""
    own = [name for name in page.studies if question_of(name) is None]
    rows = [["", escape(page.studies[name].study.question), *study_cells(page, name)] for name in own]
    return "\n\n".join(["## Beyond the list", Table(HEADER, rows, left=len(HEADER)).markdown()]) if rows else ""


def _ladders(page: Page) -> str:
    """Describe which rungs of every ladder have run, and how many predictions were right."""
    if not page.ladders:
        return ""
    lines = [
        f"- [{escape(ladder.study.id)}]({ladder.study.id}.md): {plural(len(ladder.rungs), 'rung')} of "
        f"{count(len(ladder.study.ladder))}, up to {escape([*ladder.rungs][-1])}"
        for ladder in page.ladders.values()
    ]
    return "\n".join(
        [
            "## Ladders",
            "",
            LADDERS,
            "",
            *lines,
            "",
            predictions_words([*chain(*(each.checked() for each in page.ladders.values()))]),
        ]
    )


def _regimes(page: Page) -> str:
    """Describe the regimes, and whether they are suitable for claims."""
    lines = [f"- **{name}**: {words}; {_fitness(page, words)}" for words, name in page.regimes.items()]
    return "\n".join(["## Regimes", "", FITNESS, "", *lines]) if lines else ""


def _fitness(page: Page, words: str) -> str:
    """Describe when runs of a regime leave the plateau, by its largest study, and which known answers it gives."""
    own = [findings for findings in page.studies.values() if regime(findings) == words]
    return trust_words(max(own, key=lambda findings: len(left_at(findings))), page.known.get(words))


def _legend(page: Page) -> str:
    """Explain the verdicts that occur."""
    shown = {judged.verdict.kind for findings in page.studies.values() for judged in findings.primary.values()}
    lines = [f"- **{kind.value}**: {READING[kind]}" for kind in Kind if kind in shown]
    return "\n".join(["## Verdicts", "", *lines]) if lines else ""
