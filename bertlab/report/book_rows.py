"""The rows of the answer book's tables: a question's fact and its studies, each with its status."""

from collections.abc import Iterator

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.page import LANGUAGES, file_name
from bertlab.report.answers.sentences import plain, telling
from bertlab.report.answers.write import ANSWERS
from bertlab.report.book_page import FACTS, Page, has_fact, is_stated
from bertlab.report.ladder import sentence
from bertlab.report.regime import regime
from bertlab.report.study.fitness import UNFIT, by_trust, is_fit
from bertlab.report.study.names import named
from bertlab.report.study.onset import word_of
from bertlab.report.study.scale import level_text, outcome_scale, p_text
from bertlab.report.study.verdict import immaterial, reasons_against
from bertlab.report.words import DASH, escape, listing, number, plural
from bertlab.stats.claim import ALPHA, Finding
from bertlab.study.catalogue import Question, question_of, study_files
from bertlab.study.judge import Findings, Judged

HEADER = (
    *("", "question", "kind", "in plain words", "claim", "status", "q", "effect, arm against baseline", "made of"),
    *("regime", "report"),
)
NOT_RUN = "not yet run"
OTHERS = {"zh": "中文"}  # languages of answers, by their own names


def question_rows(page: Page, question: Question) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a question's fact and studies; the first row names the question."""
    names = {name for name in (*study_files(), *page.studies) if question_of(name) == question}
    cells = [_fact_cells(page, question)] if has_fact(page, question) else []
    cells += (
        [study_cells(page, name) for name in by_trust(names, page.studies) or [question.id]] if question.study else []
    )
    for row, own in enumerate(cells):
        asked = (question.number.partition(" ")[2] or DASH, _asked(page, question)) if row == 0 else ("", "")
        yield asked + own


def _asked(page: Page, question: Question) -> str:
    """Write a question, with a link to its answers if there are some."""
    names = {language.code: file_name(question.id, language.code) for language in LANGUAGES}
    there = {code: f"{ANSWERS}/{name}" for code, name in names.items() if (page.folder / ANSWERS / name).is_file()}
    if "en" not in there:
        return escape(question.words)
    others = "".join(f" ([{OTHERS[code]}]({place}))" for code, place in there.items() if code in OTHERS)
    return f"[{escape(question.words)}]({there['en']}){others}"


def _fact_cells(page: Page, question: Question) -> tuple[str, ...]:
    if not is_stated(page, question):
        return "fact", DASH, DASH, "not yet stated", *[DASH] * 5
    return "fact", DASH, DASH, "asserted by a test", *[DASH] * 4, f"[facts]({FACTS}#{question.id})"


def study_cells(page: Page, name: str) -> tuple[str, ...]:
    """Return the cells of a study's row after its question."""
    findings = page.studies.get(name)
    if findings is None:
        return "study", DASH, DASH, NOT_RUN, *[DASH] * 4, escape(name)
    place = f"{name}.md" if (page.folder / f"{name}.md").is_file() else f"{name}/"
    q = DASH if reasons_against(findings) else p_text(page.q[name])
    early = f", {UNFIT}" if is_fit(findings) is False else ""
    where = f"{page.regimes[regime(findings)]}, {plural(findings.seeds, 'seed')}{early}"
    made = word_of(findings, telling(findings).arm) or DASH
    said, link = escape(findings.study.claim), f"[{escape(name)}]({place})"
    words = (
        DASH if reasons_against(findings) else plain(findings, ENGLISH) + _along_ladder(page, name, telling(findings))
    )
    return "study", words, said, status(findings), q, effect(findings), made, where, link


def _along_ladder(page: Page, name: str, told: Judged) -> str:
    """Describe how the deciding difference changes with scale; "" for a study that is no ladder."""
    ladder = page.ladders.get(name)
    return f" {sentence(ladder, told.arm)}." if ladder and ladder.arms[told.arm] else ""


def status(findings: Findings) -> str:
    """Return the claim's status with the deciding verdict."""
    if reasons := reasons_against(findings):
        kinds = dict.fromkeys(judged.verdict.kind.value for judged in findings.primary.values())
        return escape(f"could not be judged, {listing(kinds)}: {'; '.join(reasons)}")
    told = telling(findings)
    twice = "; registered twice" if findings.record.rule.get("before") else ""
    return f"**{findings.finding.value}**: {told.verdict.words}{_reserve(findings, told)}{twice}"


def _reserve(findings: Findings, told: Judged) -> str:
    """Describe the limitation of a verdict."""
    if told.held:
        return ", but the baseline is not shown to equal itself"
    if told.finding is Finding.UNDECIDED and told.refutation <= ALPHA:
        return f" by itself, not once corrected for {plural(len(findings.primary), 'arm')}"
    return ", immaterial either way" if immaterial(told) else ""


def effect(findings: Findings) -> str:
    """Write the deciding difference, with the interval of its verdict."""
    judged, scale = telling(findings), outcome_scale(findings)
    if reasons_against(findings) or not judged.contrast.n:
        return DASH
    pair = " against ".join(named(findings.study, arm) for arm in (judged.arm, judged.against))
    between = scale.between(judged.interval.low, judged.interval.high)
    interval = "" if between == DASH else f" ({level_text(judged.interval.level)} interval {between})"
    several = len(findings.primary)
    others = f"; 1 of {several} comparisons" if several > 1 else ""
    margin = f"margin {number(scale.factor * findings.margin, scale.decimals)}"
    return f"{pair}: {scale.signed(judged.contrast.mean)} {scale.apart}{interval}; {margin}{others}"
