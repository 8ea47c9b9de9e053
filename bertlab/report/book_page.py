"""What a folder of reports holds, read and judged: the page of the answer book before it is written."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bertlab.report.answers.write import judged
from bertlab.report.regime import asked, climbed, regime
from bertlab.report.study.fitness import is_fit
from bertlab.stats.multiple import q_values
from bertlab.study.catalogue import Question
from bertlab.study.judge import Findings
from bertlab.study.ladder import Ladder

FACTS = "facts.md"


@dataclass(frozen=True)
class Page:
    """What a folder holds, judged."""

    folder: Path
    facts: str  # text of the page of facts; empty where there is none
    studies: Mapping[str, Findings]
    q: Mapping[str, float]  # of each study's status, among all claims of the folder
    regimes: Mapping[str, str]  # their names, by what they are
    ladders: Mapping[str, Ladder]  # by the names of their studies
    known: Mapping[str, Findings]  # by regime, the study that asked it for known answers


def read_book(folder: Path) -> Page:
    """Read and judge what a folder holds. Raises InputError for a record that cannot be read."""
    studies = judged(folder)
    stated = (folder / FACTS).read_text(encoding="utf-8") if (folder / FACTS).is_file() else ""
    common = [words for words, _ in Counter(regime(findings) for findings in studies.values()).most_common()]
    fit = {regime(findings) for findings in studies.values() if is_fit(findings)}
    regimes = {words: f"R{place}" for place, words in enumerate(sorted(common, key=lambda each: each not in fit), 1)}
    ladders = climbed(folder, studies)
    return Page(folder, stated, studies, q_by_study(studies), regimes, ladders, asked(studies, ladders))


def q_by_study(studies: Mapping[str, Findings]) -> dict[str, float]:
    """Return the q of every study's status among all claims, those of earlier registrations of a study included.

    A registration that was replaced after its runs were seen counts as a claim that shows nothing: p = 1.
    """
    if not studies:
        return {}
    before = [1.0 for findings in studies.values() for _ in findings.record.rule.get("before", [])]
    q = q_values([*(findings.p for findings in studies.values()), *before])
    return dict(zip(studies, map(float, q), strict=False))


def is_stated(page: Page, question: Question) -> bool:
    """Return whether the page of facts has a section for a question."""
    return f'<a id="{question.id}"></a>' in page.facts


def has_fact(page: Page, question: Question) -> bool:
    """Return whether a question is one that the code itself decides, at least in part."""
    return question.fact or is_stated(page, question)
