"""What a language must have for the answers: words for verdicts, tasks, regimes and headings. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass

from bertlab.stats.claim import Finding
from bertlab.stats.rule import Kind


@dataclass(frozen=True)
class Language:
    """One language. Every text in braces is filled in by `sentences` or `page`.

    `relations` say how arms compare with the baseline at `task`; `tasks` are found by the pattern of an outcome's name.
    """

    code: str  # en or zh
    relations: Mapping[Kind, str]  # {task} {arms} {baseline}
    several: Mapping[Kind, str]  # {arms}: one of several comparisons with the same baseline, after texts["several"]
    tasks: Mapping[str, str]
    usual_task: str  # {words}: of an outcome that no pattern fits
    findings: Mapping[Finding, str]
    corpora: Mapping[str, str]  # what a corpus is called by, where its description holds the key
    parts: Mapping[str, str]  # what a difference is made of: bertlab/stats/onset.py's words -> a sentence
    agreement: Mapping[str, str]  # same, opposite, apart, small, open, and leaning_ with the first three
    trends: Mapping[
        str, str
    ]  # how an effect moves with scale: bertlab/study/ladder.py's words -> the end of a sentence
    units: Mapping[str, str]
    headings: Mapping[str, str]  # of the sections of a template
    labels: Mapping[str, str]  # of the lines about a study
    texts: Mapping[str, str]  # sentences with fields, by name
    cells: Mapping[str, str]  # what stands in tables of facts; empty for the language that they are written in
    name: str  # how an arm's label stands in a sentence
    listed: str  # how one stands there that holds a comma
    percent: str  # the sign behind a number
    comma: str  # joins a list, but for its last two
    then: str  # joins comparisons
    stop: str  # ends a sentence

    def listing(self, items: list[str], last: str = "or") -> str:
        """Join as in speech; `last` is the name of the text between the last two."""
        *head, end = items
        return f"{self.comma.join(head)}{self.texts[last]}{end}" if head else end
