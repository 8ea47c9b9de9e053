"""A page of the answers: a handwritten template with headings, verdicts and numbers filled in.

A template has the sections of `SECTIONS` in order, each under `## name`. `{measured}` is replaced by the results of the
question's studies. Under `test`, lines `Q:` and `A:` become questions with hidden answers. The first line of a Chinese
template is its question; an English page uses that of the catalogue.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bertlab.report.answers.chinese import CHINESE
from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.language import Language
from bertlab.report.answers.sentences import everything, rung_of, telling, trust
from bertlab.report.answers.values import Values
from bertlab.report.ladder import higher, sentence
from bertlab.report.study.names import named
from bertlab.report.study.verdict import reasons_against
from bertlab.report.words import escape
from bertlab.study.catalogue import Question
from bertlab.study.ladder import is_ladder, read_ladder

PAGES = Path(__file__).parent / "pages"
LANGUAGES = (ENGLISH, CHINESE)
SECTIONS = ("answer", "mechanism", "measured", "others", "open", "test")
BRIEF = ("finding", "regime", "scale", "answers", "start")  # on the site, where a study has its own page
# figures of a study, of which the first that exists is shown -> the name of their text
FIGURES = {"ladder.svg": "ladder_figure", "figures/forest.svg": "figure"}
HEADING = re.compile(r"^## (\w+)$", re.MULTILINE)


def template(question: str, language: str) -> str:
    """Return the handwritten template of a question in a language."""
    return (PAGES / f"{question}.{language}.md").read_text("utf-8")


def file_name(question: str, language: str) -> str:
    """Return the file name of a page."""
    return f"{question}.md" if language == "en" else f"{question}.{language}.md"


def answer(question: Question, studies: Sequence[str], values: Values, folder: Path, *, brief: bool = False) -> str:
    """Return the page; `studies` are the names of the question's studies, in order.

    `brief`: only the result of a study, its regime, its status, and the link to its page.
    """
    language, text = values.language, template(question.id, values.language.code)
    title, *parts = HEADING.split(text)
    words = title.strip().removeprefix("# ") or question.words
    links = language.texts["links"].format(id=question.id)
    sections = [language.texts["first"], f"# {escape(words)}", links]
    for name, content in zip(parts[::2], parts[1::2], strict=True):
        filled = values.fill(content).strip()
        if name == "measured":
            filled = filled.replace("{measured}", "\n\n".join(_measured(question, studies, values, folder, brief)))
        if name == "test":
            filled = "\n\n".join(_questions(filled, language))
        sections.append(f"## {language.headings[name]}\n\n{filled}")
    return "\n\n".join(sections) + "\n"


def _measured(question: Question, studies: Sequence[str], values: Values, folder: Path, brief: bool) -> Iterator[str]:
    language = values.language
    if question.fact or question.id in values.facts:
        yield language.texts["fact"].format(link=f"../facts.md#{question.id}")
    for study in studies:
        if study not in values.studies:
            continue
        findings = values.studies[study]
        numbers = language.texts["numbers"].format(link=f"../{study}.md")
        if reasons_against(findings):
            yield f"**{language.texts['unjudged']}** ({numbers})"
            continue
        told = trust(findings, values.made[study], language, values.known.get(study))
        told |= _scale(folder / study, telling(findings).arm, language)
        shown = [name for name in language.labels if name in told and (not brief or name in BRIEF)]
        lines = [f"- *{language.labels[name]}*: {told[name]}" for name in shown]
        yield "\n".join([f"**{everything(findings, language)}** ({numbers})", "", *lines])
        figures = [name for name in FIGURES if not brief and (folder / study / name).is_file()]
        yield from (f"![{language.texts[FIGURES[name]]}](../{study}/{name})" for name in figures[:1])
    if missing := [f"`{study}`" for study in studies if study not in values.studies]:
        yield language.texts["not_run"].format(studies=language.listing(missing, "rungs"))


def _scale(folder: Path, arm: str, language: Language) -> dict[str, str]:
    """Describe an arm's effect along a ladder, and which rungs have run; nothing for a study without rungs."""
    ladder = read_ladder(folder) if is_ladder(folder) else None
    if ladder is None or not ladder.arms[arm]:
        return {}
    sizes = language.then.join(rung_of(name, ladder.rungs[name], language) for name in ladder.arms[arm])
    baseline = named(ladder.study, ladder.study.reference(arm), language.code)
    means = language.texts["means"].format(baseline=baseline, rungs=sizes)
    told = [sentence(ladder, arm, language), means, higher(ladder, language)]
    return {"scale": language.then.join(filter(None, told))}


def _questions(text: str, language: Language) -> Iterator[str]:
    """Yield each question with a hidden answer."""
    for n, pair in enumerate(re.split(r"^Q: ", text, flags=re.MULTILINE)[1:], 1):
        asked, _, told = pair.partition("\nA: ")
        name = language.texts["test"].format(n=n)
        hidden = f"<details><summary>{language.texts['show']}</summary>\n\n{told.strip()}\n\n</details>"
        yield f"{name} {asked.strip()}\n\n{hidden}"
