"""The top of the page: question, verdict, claim, contrasts, and how to read them.

Enters: `Findings`. Leaves: markdown.
"""

import math
from itertools import chain

from bertlab.report.layout import token_text
from bertlab.report.study.contrasts import NOT_REGISTERED, compared, in_order, verdict_table
from bertlab.report.study.names import arms_in_words, named
from bertlab.report.study.scale import WORTH_MOST, outcome_scale
from bertlab.report.study.verdict import (
    DECIDED_BY,
    DETECTABLE,
    EXPECTED,
    READING,
    failures,
    headline,
    reasons_against,
    status_word,
)
from bertlab.report.table import Table
from bertlab.report.words import count, escape, listing, number, percent, plural, sentence, signed
from bertlab.stats.rule import Kind
from bertlab.study.design import Study
from bertlab.study.judge import Findings
from bertlab.study.onset import started
from bertlab.study.record import RULE_NOW
from bertlab.study.worth import worth_of

WHOLE = (
    "The claim is supported if every arm in this table supports it, each at the study's level; it is refuted if one "
    "arm refutes it, once the p-values are corrected for the number of arms (Holm); else it is undecided."
)


def opening(findings: Findings) -> str:
    """The question, the claim's status, and the margin."""
    scale, direction = outcome_scale(findings), "lower" if findings.outcome.lower_is_better else "higher"
    words = (
        f"*Materially* and *within the margin* are meant against {scale.value(findings.margin)} {scale.apart} of "
        f"{escape(findings.study.outcome)} ({direction} is better), fixed before the compared runs as the smallest "
        "difference that matters."
    )
    before = findings.record.rule.get("before", [])
    parts = [f"# {escape(findings.study.question)}", *before, f"**{escape(headline(findings))}**"]
    return "\n\n".join([*parts, *_not_begun(findings), words, *judged_again(findings)])


def _not_begun(findings: Findings) -> list[str]:
    """Name the arms that decide the claim and have runs that never began to use context."""
    from bertlab.report.answers.english import ENGLISH  # imported late: the answers import this room
    from bertlab.report.answers.sentences import not_begun

    deciding = [arm for arm, judged in findings.primary.items() if judged.finding is findings.finding]
    said = "" if reasons_against(findings) else not_begun(findings, deciding, ENGLISH)
    return [sentence(said)] if said else []


def judged_again(findings: Findings) -> list[str]:
    """Describe the rule by which a study was judged again, and its status by the registered rule."""
    rule = findings.record.rule
    if not rule:
        return []
    earlier, now = rule["earlier"]["finding"], status_word(findings)
    same = "the same status" if earlier == now else f"now {now}"
    corrected = rule["earlier"].get("corrected", earlier)
    taken_back = f" ({corrected} once corrected over its family)" if corrected != earlier else ""
    why = f": {rule['why']}" if rule.get("why") else "."
    return [
        f"*Judged again by rule {RULE_NOW}.* By the rule of its registration the claim was {earlier}{taken_back}; "
        f"{same}{why} [What changed in the rule, and every status that moved](rules.md)."
    ]


def claim(findings: Findings) -> str:
    """The claim as it was registered, and which verdicts support or refute it."""
    study, rows = findings.study, []
    for expectation in dict.fromkeys(study.expects.values()):
        arms = [escape(arm + compared(findings, arm)) for arm, own in study.expects.items() if own is expectation]
        rows.append([listing(arms), EXPECTED[expectation], *DECIDED_BY[expectation]])
    header = ["arm", "the claim says it is", "supported by an interval", "refuted by an interval"]
    table = Table(header, rows, left=4).markdown()
    said = f"Registered before the runs: “{escape(findings.record.registered.claim)}”{_reworded(findings)}"
    return "\n\n".join(
        ["## The claim", said, table, *arms_in_words(study), WHOLE, f"{_outcome(findings)} {_margin(findings)}"]
    )


def continued(findings: Findings) -> str:
    """Mention that arms continue from shared weights, and what question this answers."""
    trunk, start = findings.study.trunk, findings.record.regime.start
    if trunk is not None:
        own = f", set apart by {' '.join(trunk.overrides)}" if trunk.overrides else ""
        words = (
            "The arms of a seed start from the same weights: those of a trunk, which was trained on "
            f"{token_text(trunk.tokens)} tokens{own}. It read the text in another order than its arms."
        )
    elif start:
        words = f"All arms start from the same weights, {start.name} (hash {start.hash})."
    else:
        return ""
    return (
        f"## The question is one of continued training\n\n{escape(words)} The optimiser starts from new; budgets and "
        "curves count the tokens behind the start. So the page says what serves a model that has been trained already; "
        "what serves one from scratch may be another."
    )


def _reworded(findings: Findings) -> str:
    """Give the tested wording of a claim, if its registered words differ."""
    if findings.study.claim == findings.record.registered.claim:
        return ""
    return f" What its registration tests, and this page judges: “{escape(findings.study.claim)}”"


def contrasts(findings: Findings) -> str:
    """The table of contrasts and what its columns mean."""
    study, scale = findings.study, outcome_scale(findings)
    better, worse = ("below", "above") if findings.outcome.lower_is_better else ("above", "below")
    sentences = [
        f"Each row is an arm minus the baseline, {named(study, study.baseline)} "
        f"({escape(' '.join(study.arms[study.baseline]))}), or the arm it is said to be against, "
        f"over the n seeds that both have; {better} zero the arm is "
        f"better, {worse} zero worse. The interval is the one that the verdict is read from; {_allowed(study)}. A "
        "refutation is also corrected for the number of arms, which the interval is not."
    ]
    if math.isfinite(findings.slope):
        sentences.append(
            "*Worth in tokens*: how many more or fewer training tokens would move the baseline as far, along the "
            "straight line through the end of its curve; rough for large values, and cut at a factor of "
            f"{WORTH_MOST:g}."
        )
    if any(judged.expects is None for judged in in_order(findings)):
        sentences.append(
            f"The claim does not speak of {NOT_REGISTERED} arms; their intervals allow for nothing, and decide nothing."
        )
    if started(findings):
        sentences.append("*Made of*: which part of the difference is the larger, see “What the difference is made of”.")
    title = f"## Contrasts ({scale.apart} of {escape(study.outcome)})"
    return "\n\n".join(filter(None, [title, verdict_table(findings), _against(findings), " ".join(sentences)]))


def reading(findings: Findings) -> str:
    """Explain the verdicts that occur on this page."""
    shown = {judged.verdict.kind for judged in [*findings.primary.values(), *findings.controls.values()]}
    lines = [f"- **{kind.value}**: {READING[kind]}" for kind in Kind if kind in shown]
    detectable = any(judged.verdict.detectable for judged in [*findings.primary.values(), *findings.controls.values()])
    return "\n".join(["## How to read the verdicts", "", *lines, *([DETECTABLE] if detectable else [])])


def remarks(findings: Findings) -> str:
    """The handwritten remarks, if any."""
    written = findings.record.remarks.strip()
    about = "*Written after the results were seen; no verdict rests on it.*"
    return f"## Remarks\n\n{about}\n\n{written}" if written else ""


def _against(findings: Findings) -> str:
    """List problems of single arms; reasons why the whole study is vacuous are under Soundness."""
    arms = [judged for judged in in_order(findings) if judged.verdict.kind is not Kind.VACUOUS]
    reasons = chain.from_iterable(failures(findings, judged) for judged in arms)
    return "\n".join(f"- {escape(reason)}" for reason in dict.fromkeys(reasons))


def _outcome(findings: Findings) -> str:
    study, outcome = findings.study, findings.outcome
    direction = "lower" if outcome.lower_is_better else "higher"
    unit = outcome_scale(findings).unit
    return f"Judged by {escape(study.outcome)}: {escape(outcome.words)} ({unit}; {direction} is better)."


def _margin(findings: Findings) -> str:
    scale, margin = outcome_scale(findings), findings.study.margin
    size = f"The margin, the smallest difference that matters, is {scale.value(findings.margin)} {scale.apart}"
    if margin.unit != "tokens":
        return f"{size}, as registered."
    seeds = findings.record.frozen.seeds
    return (
        f"{size}: what {_tokens(margin.value)} more training tokens are worth to the baseline "
        f"near its end, where its slope is {signed(scale.factor * findings.slope)} {scale.apart} per unit of "
        f"ln(tokens). It was measured on {seeds} exploration seeds that no contrast uses, and frozen."
        f"{_worth(findings)}"
    )


def _worth(findings: Findings) -> str:
    """Describe the precision of a margin in tokens, and its size by other measures."""
    worth = worth_of(findings)
    if worth is None:
        return ""
    scale, ends = outcome_scale(findings), worth.measured.interval
    part = f" Its slope was taken over the last {percent(worth.part).removesuffix('.0')} % of the tokens"
    known = f", with a 90 % interval of the margin of {scale.value(ends.low)} to {scale.value(ends.high)}"
    rough = ": wider than ±20 %, so it **needs more exploration seeds**" if worth.measured.rough else ""
    others = []
    if worth.by_end is not None:
        by_end = f"by the slope of the last half ({plural(worth.points, 'evaluation')} there) it is"
        others.append(f"{by_end} {_tokens(worth.by_end)}")
    if worth.by_shorter is not None:
        shorter = f"by runs of {token_text(worth.shorter)} tokens whose schedule ended (the harmful control)"
        others.append(f"{shorter} {_tokens(worth.by_shorter)}")
    meant = f" {_tokens(worth.declared)} was meant; {listing(others)}." if others else ""
    return f"{part}{known}{rough}.{meant}"


def _tokens(share: float) -> str:
    return f"{number(100 * share, 0 if share >= 0.0995 else 1).removesuffix('.0')} %"


def _allowed(study: Study) -> str:
    """Describe what the level of a primary interval corrects for."""
    if len(study.looks) == 1:
        return f"each side is tested at {number(0.05, 2)}, at one look"
    return f"each side is tested so that {count(len(study.looks))} looks together err in 5 % at most"
