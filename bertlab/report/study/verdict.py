"""What a study found, in plain words: every clause is read off a verdict, none is written by hand.

Enters: `Findings`. Leaves: sentences. Verdicts, expectations and findings each have their words in one table here, and
an undecided contrast is never said to show that nothing is there.
"""

from collections.abc import Iterable, Sequence

from bertlab.report.words import count, listing
from bertlab.stats.claim import Expectation, Finding
from bertlab.stats.rule import Kind
from bertlab.study.judge import Findings, Judged

UNJUDGED = frozenset({Kind.INVALID, Kind.VACUOUS, Kind.UNSTABLE, Kind.UNTESTABLE})
REGIME = "for this model, corpus and budget"

CAME_OUT = {  # said of one arm or several, against the baseline
    Kind.INVALID: "not judged against {baseline}, because runs are missing or not comparable",
    Kind.VACUOUS: "not compared, because the study could not have seen a difference",
    Kind.UNSTABLE: "unstable, diverging on more seeds than {baseline}",
    Kind.UNTESTABLE: "on too few seeds to be compared with {baseline}",
    Kind.WORSE_MATERIAL: "materially worse than {baseline}",
    Kind.BETTER_MATERIAL: "materially better than {baseline}",
    Kind.EQUIVALENT: "equivalent to {baseline} within the margin",
    Kind.WORSE_UNRESOLVED: "worse than {baseline}, but not shown to be materially so",
    Kind.BETTER_UNRESOLVED: "better than {baseline}, but not shown to be materially so",
    Kind.NON_INFERIOR: "not materially worse than {baseline}, and possibly better",
    Kind.INCONCLUSIVE: "neither shown to differ from {baseline} nor shown to be as good",
}

NOT_BETTER = "not materially better than {baseline}, though neither shown to differ from it nor to be as good"

READING = {  # one sentence per verdict: what the interval did, and what follows
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
    Kind.INCONCLUSIVE: (
        "the interval holds zero and reaches the margin on the worse side: the data neither show a difference nor "
        "rule out one that matters."
    ),
}

DETECTABLE = "- *detectable*: the interval also leaves out zero; there is a difference, too small to matter."

EXPECTED = {  # what a claim says of an arm
    Expectation.WORSE: "worse than the baseline",
    Expectation.BETTER: "better than the baseline",
    Expectation.EQUIVALENT: "within the margin of the baseline on both sides",
    Expectation.NOT_WORSE: "not materially worse than the baseline",
    Expectation.NOT_BETTER: "not materially better than the baseline",
}

FOUND = {
    Finding.SUPPORTED: "is SUPPORTED",
    Finding.REFUTED: "is REFUTED",
    Finding.UNDECIDED: "stays UNDECIDED",
}


def headline(findings: Findings) -> str:
    """Return what was found of the claim in one sentence, as plain text."""
    claim = f"The claim “{findings.study.claim.rstrip('.')}”"
    if reasons := reasons_against(findings):
        return f"{claim} could not be judged: {'; '.join(reasons)}."
    found = findings.finding
    deciding = [judged for judged in findings.primary.values() if judged.finding is found]
    return f"{claim} {FOUND[found]} {REGIME}: {outcomes(findings, deciding)}{_beside(findings, found)}."


def reasons_against(findings: Findings) -> list[str]:
    """Return why no primary contrast could be judged; none as soon as one could."""
    primary = list(findings.primary.values())
    if any(judged.verdict.kind not in UNJUDGED for judged in primary):
        return []
    own = [reason for judged in primary if judged.verdict.kind is not Kind.VACUOUS for reason in failures(judged)]
    return list(dict.fromkeys([*own, *findings.soundness]))


def failures(judged: Judged) -> list[str]:
    """Return what stood against a verdict, with the arm's name where the reason lacks it."""
    named = judged.verdict.kind in (Kind.INVALID, Kind.VACUOUS)
    return [reason if named else f"{judged.arm}: {reason}" for reason in judged.verdict.failed]


def outcomes(findings: Findings, group: Iterable[Judged]) -> str:
    """Say how some arms came out, arms with one verdict together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for judged in group:
        alike.setdefault((came_out(judged), judged.against), []).append(judged.arm)
    return "; ".join(
        f"{listing(arms)} {is_or_are(arms)} {words.format(baseline=against)}"
        for (words, against), arms in alike.items()
    )


def came_out(judged: Judged) -> str:
    """Return the words for a verdict, or for the one thing that an INCONCLUSIVE interval may still show."""
    return NOT_BETTER if shows_only_not_better(judged) else CAME_OUT[judged.verdict.kind]


def shows_only_not_better(judged: Judged) -> bool:
    """Tell whether an INCONCLUSIVE interval supports a claim, as it ends short of the margin on the better side."""
    return judged.verdict.kind is Kind.INCONCLUSIVE and judged.finding is Finding.SUPPORTED


def is_or_are(items: Sequence[object]) -> str:
    """Return the verb for one thing or several."""
    return "is" if len(items) == 1 else "are"


def _beside(findings: Findings, found: Finding) -> str:
    """Say how many contrasts bear an undecided claim out; a refuted or supported one needs no more."""
    borne = [judged for judged in findings.primary.values() if judged.finding is Finding.SUPPORTED]
    if found is not Finding.UNDECIDED or not borne:
        return ""
    return f"; {count(len(borne))} of {count(len(findings.primary))} contrasts bear it out"
