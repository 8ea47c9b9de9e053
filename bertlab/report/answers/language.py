"""The words that a language needs for the answers: verdicts, tasks, regimes, headings. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass

from bertlab.stats.claim import Finding
from bertlab.stats.rule import Kind


@dataclass(frozen=True)
class Language:
    """One language. `sentences` and `page` fill in the braces of its texts.

    `relations` say how arms compare with the baseline at `task`; `tasks` are found by a pattern of the outcome's name.
    """

    code: str  # en or zh
    relations: Mapping[Kind, str]  # {task} {arms} {baseline}
    several: Mapping[Kind, str]  # {arms}: part of a list of comparisons with one baseline, after texts["several"]
    tasks: Mapping[str, str]
    usual_task: str  # {words}: for outcomes without a pattern
    findings: Mapping[Finding, str]
    corpora: Mapping[str, str]  # name of a corpus, by a word of its description
    parts: Mapping[str, str]  # parts of a difference: words of bertlab/stats/onset.py -> a sentence
    agreement: Mapping[str, str]  # same, opposite, apart, small, open, and leaning_ with the first three
    trends: Mapping[str, str]  # effect against scale: words of bertlab/study/ladder.py -> the end of a sentence
    units: Mapping[str, str]
    headings: Mapping[str, str]  # section titles of a template
    labels: Mapping[str, str]  # titles of lines about a study
    texts: Mapping[str, str]  # sentences with fields, by name
    cells: Mapping[str, str]  # texts in tables of facts; empty for the language of the tables
    percent: str  # the sign after a number
    comma: str  # separator of a list, except before its last item
    then: str  # separator of comparisons
    stop: str  # end of a sentence

    def listing(self, items: list[str], last: str = "or") -> str:
        """Join the items of a list; `last` names the text between the last two."""
        *head, end = items
        return f"{self.comma.join(head)}{self.texts[last]}{end}" if head else end
