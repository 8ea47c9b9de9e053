"""A study's results in plain words: verdicts choose every clause, none is handwritten.

Enters: `Findings`. Leaves: sentences. Verdicts, expectations and findings have their words in one table here. An
undecided contrast is never described as no effect.
"""

from collections.abc import Iterable

from bertlab.report.words import count, listing
from bertlab.stats.claim import ALPHA, Expectation, Finding
from bertlab.stats.rule import Kind
from bertlab.stats.verdict import NOT_COMPARED
from bertlab.study.judge import Findings, Judged
from bertlab.study.labels import phrase

UNJUDGED = NOT_COMPARED
REGIME = "for this model, corpus and budget"

CAME_OUT = {  # results with one arm or several, against the baseline
    Kind.INVALID: "results with {arms} are not judged against {baseline}, because runs are missing or not comparable",
    Kind.VACUOUS: "results with {arms} are not compared, because the study could not have seen a difference",
    Kind.UNSTABLE: "training diverges on more seeds with {arms} than with {baseline}",
    Kind.UNTESTABLE: "results with {arms} are from too few seeds to be compared with {baseline}",
    Kind.WORSE_MATERIAL: "results are materially worse with {arms} than with {baseline}",
    Kind.BETTER_MATERIAL: "results are materially better with {arms} than with {baseline}",
    Kind.EQUIVALENT: "results with {arms} are equivalent to those with {baseline} within the margin",
    Kind.WORSE_UNRESOLVED: "results are worse with {arms} than with {baseline}, but not shown to be materially so",
    Kind.BETTER_UNRESOLVED: "results are better with {arms} than with {baseline}, but not shown to be materially so",
    Kind.NON_INFERIOR: "results are not materially worse with {arms} than with {baseline}, and possibly better",
    Kind.NON_SUPERIOR: "results are not materially better with {arms} than with {baseline}, and possibly worse",
    Kind.WORSE_AT_MARGIN: "results are worse with {arms} than with {baseline} by about the margin",
    Kind.BETTER_AT_MARGIN: "results are better with {arms} than with {baseline} by about the margin",
    Kind.INCONCLUSIVE: (
        "results with {arms} are neither shown to differ from those with {baseline} nor to be within the margin of "
        "them on either side"
    ),
}
EITHER_WAY = ", so that the sign of the difference is immaterial either way"
BY_ITSELF = ", taken by itself, which does not outlive the correction for {arms} arms"
HELD = ", which does not count while the baseline is not shown to equal itself"

READING = {  # one sentence per verdict: the interval, and the conclusion
    Kind.INVALID: "a planned result is missing, or the runs are not comparable; nothing is concluded.",
    Kind.VACUOUS: "the study could not have seen a difference (see Soundness); nothing is concluded.",
    Kind.UNSTABLE: (
        "the arm diverged on at least two seeds more than the baseline. That is its result; the differences of the "
        "seeds that survived are shown, and are not read."
    ),
    Kind.UNTESTABLE: "fewer than three paired seeds; nothing is concluded.",
    Kind.WORSE_MATERIAL: "the whole interval lies beyond the margin on the worse side: worse by more than the margin.",
    Kind.BETTER_MATERIAL: (
        "the whole interval lies beyond the margin on the better side: better by more than the margin."
    ),
    Kind.EQUIVALENT: (
        "the whole interval lies inside the margin on both sides: any difference is smaller than what was declared to "
        "matter."
    ),
    Kind.WORSE_UNRESOLVED: (
        "the whole interval lies on the worse side of zero and reaches the margin: worse, by how much is open."
    ),
    Kind.BETTER_UNRESOLVED: (
        "the whole interval lies on the better side of zero and reaches the margin: better, by how much is open."
    ),
    Kind.NON_INFERIOR: (
        "the interval ends short of the margin on the worse side, holds zero, and reaches the margin on the better "
        "side: not materially worse, possibly better."
    ),
    Kind.NON_SUPERIOR: (
        "the interval ends short of the margin on the better side, holds zero, and reaches the margin on the worse "
        "side: not materially better, possibly worse."
    ),
    Kind.WORSE_AT_MARGIN: (
        "the interval is narrower than the margin and holds it, on the worse side: worse, by about as much as was "
        "declared to matter, and more seeds would not tell on which side of it."
    ),
    Kind.BETTER_AT_MARGIN: (
        "the interval is narrower than the margin and holds it, on the better side: better, by about as much as was "
        "declared to matter, and more seeds would not tell on which side of it."
    ),
    Kind.INCONCLUSIVE: (
        "the interval holds zero and reaches the margin on both sides: the data neither show a difference nor rule "
        "out one that matters."
    ),
}

DETECTABLE = "- *detectable*: the interval also leaves out zero; there is a difference, too small to matter."

EXPECTED = {  # expectations of a claim
    Expectation.WORSE: "worse than the baseline, by however little",
    Expectation.BETTER: "better than the baseline, by however little",
    Expectation.MATERIALLY_WORSE: "worse than the baseline by more than the margin",
    Expectation.MATERIALLY_BETTER: "better than the baseline by more than the margin",
    Expectation.EQUIVALENT: "within the margin of the baseline on both sides",
    Expectation.NOT_WORSE: "not worse than the baseline by more than the margin",
    Expectation.NOT_BETTER: "not better than the baseline by more than the margin",
}

DECIDED_BY = {  # the interval that supports a claim about an arm, and the one that refutes it
    Expectation.WORSE: ("wholly on the worse side of zero", "wholly on the better side of zero"),
    Expectation.BETTER: ("wholly on the better side of zero", "wholly on the worse side of zero"),
    Expectation.MATERIALLY_WORSE: ("beyond the margin on the worse side", "short of the margin on the worse side"),
    Expectation.MATERIALLY_BETTER: ("beyond the margin on the better side", "short of the margin on the better side"),
    Expectation.EQUIVALENT: ("within the margin on both sides", "beyond the margin on either side"),
    Expectation.NOT_WORSE: ("short of the margin on the worse side", "beyond the margin on the worse side"),
    Expectation.NOT_BETTER: ("short of the margin on the better side", "beyond the margin on the better side"),
}

FOUND = {
    Finding.SUPPORTED: "is SUPPORTED",
    Finding.REFUTED: "is REFUTED",
    Finding.UNDECIDED: "stays UNDECIDED",
}

NOT_JUDGED = "not judged"


def headline(findings: Findings) -> str:
    """Return the claim's result in one sentence, as plain text."""
    claim = f"The claim “{findings.study.claim.rstrip('.')}”"
    if reasons := reasons_against(findings):
        return f"{claim} could not be judged: {'; '.join(reasons)}."
    found = findings.finding
    deciding = [judged for judged in findings.primary.values() if judged.finding is found]
    return f"{claim} {FOUND[found]} {REGIME}: {outcomes(findings, deciding)}{_beside(findings, found)}."


def reasons_against(findings: Findings) -> list[str]:
    """Return why no primary contrast could be judged; none if at least one could."""
    primary = list(findings.primary.values())
    if any(judged.verdict.kind not in UNJUDGED for judged in primary):
        return []
    own = [
        reason for judged in primary if judged.verdict.kind is not Kind.VACUOUS for reason in failures(findings, judged)
    ]
    return list(dict.fromkeys([*own, *findings.soundness]))


def status_word(findings: Findings) -> str:
    """Return the claim's status in one or two words."""
    return NOT_JUDGED if reasons_against(findings) else findings.finding.value


def failures(findings: Findings, judged: Judged) -> list[str]:
    """Return the reasons against a verdict, with the arm's name if a reason lacks it."""
    named = judged.verdict.kind in (Kind.INVALID, Kind.VACUOUS)
    return [reason if named else f"{phrase(findings.study, judged.arm)}: {reason}" for reason in judged.verdict.failed]


def outcomes(findings: Findings, group: Iterable[Judged]) -> str:
    """Describe the results of some arms; arms with the same verdict together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for judged in group:
        name = phrase(findings.study, judged.arm)
        alike.setdefault((came_out(findings, judged), judged.against), []).append(name)
    return "; ".join(
        words.format(arms=listing(arms, "or"), baseline=phrase(findings.study, against))
        for (words, against), arms in alike.items()
    )


def came_out(findings: Findings, judged: Judged) -> str:
    """Return the words for a verdict, and, if needed, why it does not decide the claim."""
    words = CAME_OUT[judged.verdict.kind]
    if judged.finding is not Finding.UNDECIDED:
        return words
    if judged.held:
        return words + HELD
    if judged.refutation <= ALPHA:
        return words + BY_ITSELF.format(arms=count(len(findings.primary)))
    return words + EITHER_WAY * immaterial(judged)


def immaterial(judged: Judged) -> bool:
    """Return whether a claim about the sign is undecided for a difference too small to matter."""
    of_the_sign = judged.expects in (Expectation.WORSE, Expectation.BETTER)
    return of_the_sign and judged.verdict.kind is Kind.EQUIVALENT and judged.finding is Finding.UNDECIDED


def _beside(findings: Findings, found: Finding) -> str:
    """Describe how many comparisons support an undecided claim; other statuses need no more words."""
    borne = [judged for judged in findings.primary.values() if judged.finding is Finding.SUPPORTED]
    if found is not Finding.UNDECIDED or not borne:
        return ""
    support = "supports" if len(borne) == 1 else "support"
    return f"; {count(len(borne))} of {count(len(findings.primary))} comparisons {support} it"
