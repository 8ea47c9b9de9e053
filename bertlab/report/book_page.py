"""The content of a folder of reports, read and judged: input of the answer book."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bertlab.report.answers.values import read_facts
from bertlab.report.answers.write import judged
from bertlab.report.regime import asked, climbed, regime, with_known
from bertlab.report.study.fitness import conditions_met
from bertlab.stats.multiple import q_values
from bertlab.study.catalogue import Question
from bertlab.study.judge import Findings
from bertlab.study.ladder import Ladder

FACTS = "facts.md"


@dataclass(frozen=True)
class Page:
    """The content of a folder, judged."""

    folder: Path
    facts: str  # text of the page of facts; empty if there is none
    stated: Collection[str]  # the questions that it answers
    studies: Mapping[str, Findings]
    q: Mapping[str, float]  # q of each study's status, among all claims of the folder
    regimes: Mapping[str, str]  # names of studies by regime
    ladders: Mapping[str, Ladder]  # by study name
    known: Mapping[str, Findings]  # by regime: the study that tested known answers


def read_book(folder: Path) -> Page:
    """Read and judge a folder. Raises InputError for a record that cannot be read."""
    studies = judged(folder)
    text = (folder / FACTS).read_text(encoding="utf-8") if (folder / FACTS).is_file() else ""
    ladders = climbed(folder, studies)
    known = asked(studies, ladders)
    studies = with_known(studies, known)
    common = [words for words, _ in Counter(regime(findings) for findings in studies.values()).most_common()]
    met: dict[str, int] = {}
    for findings in studies.values():
        met[regime(findings)] = max(met.get(regime(findings), 0), conditions_met(findings))
    regimes = {words: f"R{place}" for place, words in enumerate(sorted(common, key=lambda each: -met[each]), 1)}
    return Page(folder, text, read_facts(folder), studies, q_by_study(studies), regimes, ladders, known)


def q_by_study(studies: Mapping[str, Findings]) -> dict[str, float]:
    """Return the q of every study's status among all claims, including those of earlier registrations.

    A registration that was replaced after its results were seen counts as a claim without evidence: p = 1.
    """
    if not studies:
        return {}
    before = [1.0 for findings in studies.values() for _ in findings.record.rule.get("before", [])]
    q = q_values([*(findings.p for findings in studies.values()), *before])
    return dict(zip(studies, map(float, q), strict=False))


def is_stated(page: Page, question: Question) -> bool:
    """Return whether the page of facts has a section for a question."""
    return question.id in page.stated


def has_fact(page: Page, question: Question) -> bool:
    """Return whether the code itself answers a question, at least in part."""
    return question.fact or is_stated(page, question)
