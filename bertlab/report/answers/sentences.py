"""A study's result in plain sentences, with its limits: chosen by verdicts, in any language.

Enters: `Findings` and a `Language`. Leaves: text without markup, except escaped special characters.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bertlab.report.answers.language import Language
from bertlab.report.regime import other_optimizer
from bertlab.report.stated import source_of, stated
from bertlab.report.study.fitness import is_continued, is_fit, left_at, right_answers
from bertlab.report.study.names import named
from bertlab.report.study.scale import outcome_scale
from bertlab.report.words import DASH, escape, number, percent
from bertlab.stats.claim import ALPHA, Finding
from bertlab.stats.rule import Kind
from bertlab.study.judge import Findings, Judged
from bertlab.study.onset import LOSSES, onsets_in

TOKENS = "perf/tokens"
SHORT = 1e9  # tokens; if nothing else is known, less training counts as short. BERT read a hundred times as many
NOT_JUDGED = (Kind.INVALID, Kind.VACUOUS, Kind.UNTESTABLE)
WORSE = (Kind.WORSE_MATERIAL, Kind.WORSE_AT_MARGIN, Kind.WORSE_UNRESOLVED)
BETTER = (Kind.BETTER_MATERIAL, Kind.BETTER_AT_MARGIN, Kind.BETTER_UNRESOLVED)


def plain(findings: Findings, language: Language) -> str:
    """Describe in a sentence what decides the finding: all comparisons of a supported claim, else the deciding one."""
    told = telling(findings)
    if findings.finding is Finding.SUPPORTED:
        return compare(findings, findings.primary.values(), language)
    key = (told.verdict.kind, told.against, _reserve(told))
    own = findings.primary.values()
    alike = [judged for judged in own if (judged.verdict.kind, judged.against, _reserve(judged)) == key]
    return compare(findings, alike, language)


def everything(findings: Findings, language: Language) -> str:
    """Describe in one sentence the results of all arms that the claim mentions."""
    return compare(findings, findings.primary.values(), language)


def compare(findings: Findings, group: Iterable[Judged], language: Language) -> str:
    """Describe the results of some arms; arms with the same result together."""
    by_baseline: dict[str, dict[tuple[Kind, str], list[str]]] = {}
    for judged in group:
        alike = by_baseline.setdefault(judged.against, {})
        alike.setdefault((judged.verdict.kind, _reserve(judged)), []).append(judged.arm)
    said = language.then.join(_against(findings, baseline, alike, language) for baseline, alike in by_baseline.items())
    early = "further" if is_continued(findings) else "short"
    before = language.texts[early] if is_early(findings) else ""
    return (before + said)[0].upper() + (before + said)[1:] + language.stop


def _against(
    findings: Findings, against: str, alike: Mapping[tuple[Kind, str], Sequence[str]], language: Language
) -> str:
    task, baseline, parts = task_of(findings, language), _name(findings, against, language), []
    words = language.relations if len(alike) == 1 else language.several
    for (kind, reserve), arms in alike.items():
        named = language.listing([_name(findings, arm, language) for arm in arms])
        said = words[kind].format(arms=named, task=task, baseline=baseline)
        parts.append(said + (language.texts[reserve].format(n=len(findings.primary)) if reserve else ""))
    joined = language.then.join(parts)
    return joined if len(alike) == 1 else language.texts["several"].format(baseline=baseline, task=task, parts=joined)


def telling(findings: Findings) -> Judged:
    """Return the comparison that decides the finding.

    For a supported claim, which all arms must support, the one with the largest p. Else the largest difference among
    those that refute the claim, or leave it undecided.
    """
    deciding = [judged for judged in findings.primary.values() if judged.finding is findings.finding]
    if findings.finding is Finding.SUPPORTED:
        return max(deciding, key=lambda judged: judged.support)
    return max(deciding, key=lambda judged: abs(judged.contrast.mean) if judged.contrast.n else -1)


def task_of(findings: Findings, language: Language) -> str:
    """Return the subject of a study's outcome, in words of the language."""
    for pattern, words in language.tasks.items():
        if re.fullmatch(pattern, findings.study.outcome):
            return words
    return language.usual_task.format(words=escape(findings.outcome.words))


def agreement(judged: Judged, direction: str) -> str:
    """Return whether a comparison agrees with a published direction: worse, better or same.

    In the words by which `Language.agreement` names its texts.
    """
    kind = judged.verdict.kind
    reserve = _reserve(judged)
    if reserve == "held" or kind in NOT_JUDGED:
        return "open"
    if kind is Kind.EQUIVALENT:
        return "same" if direction == "same" else "small"
    found = "worse" if kind in WORSE else "better" if kind in BETTER else ""
    if not found:
        return "open"
    name = "apart" if direction == "same" else "same" if found == direction else "opposite"
    return f"leaning_{name}" if reserve else name


def trust(findings: Findings, made: str, language: Language, known: Findings | None = None) -> dict[str, str]:
    """Return what a reader needs to judge a study: a sentence for each heading.

    `made`: the parts of the decisive difference, in the words of bertlab/stats/onset.py. `known`: the study that tested
    known answers in the same regime; None if there is none.
    """
    lines = {
        "finding": language.texts["finding"].format(
            claim=escape(findings.study.claim.rstrip(".")),
            finding=language.findings[findings.finding],
            status=findings.finding.value,
        ),
        "difference": size(findings, telling(findings), language),
        "regime": regime(findings, language),
        "known": language.texts["unsound" if findings.soundness else "missed" if findings.coarse else "found"],
        "answers": _known(known, language),
        "training": _training(findings, language),
        "start": language.then.join(
            filter(None, [language.parts.get(made, ""), not_begun(findings, findings.primary, language)])
        ),
    }
    return {name: line for name, line in lines.items() if line}


def size(findings: Findings, judged: Judged, language: Language) -> str:
    """Write the difference of a comparison with its interval and the margin."""
    if not judged.contrast.n:
        return ""
    scale = outcome_scale(findings)
    unit = f" {language.units.get(scale.apart, scale.apart)}"
    return language.texts["difference"].format(
        arm=_name(findings, judged.arm, language),
        baseline=_name(findings, judged.against, language),
        difference=scale.signed(judged.contrast.mean) + unit,
        interval=scale.between(judged.interval.low, judged.interval.high, language.texts["to"]),
        margin=number(scale.factor * findings.margin, scale.decimals) + unit,
    )


def regime(findings: Findings, language: Language) -> str:
    """Describe model, corpus and budget."""
    model = model_of(findings, language)
    if (trunk := findings.study.trunk) is not None:
        model += language.texts["trunk"].format(
            tokens=number(trunk.tokens / 1e6, 2), ten_thousands=number(trunk.tokens / 1e4, 0)
        )
    elif is_continued(findings):
        model += language.texts["trained"]
    model += "".join(language.texts["optimizer"].format(name=name) for name in other_optimizer(findings))
    corpus = source_of(findings.record)
    known = [words for name, words in language.corpora.items() if name in corpus]
    return language.texts["regime"].format(
        model=model,
        tokens=number(tokens_of(findings) / 1e6, 2),
        ten_thousands=number(tokens_of(findings) / 1e4, 0),
        corpus=language.listing(known, "and") if known else escape(corpus) or DASH,
        seeds=findings.seeds,
    )


def model_of(findings: Findings, language: Language) -> str:
    """Describe the shape of the model; as its record has it if that is no shape."""
    shape = findings.record.regime.model
    return language.texts["model"].format(**vars(shape)) if shape else stated(findings.record, "model") or DASH


def rung_of(name: str, findings: Findings, language: Language) -> str:
    """Describe a rung of a ladder: its name, the model, and the training tokens."""
    tokens = tokens_of(findings)
    millions, ten_thousands = number(tokens / 1e6, 1), number(tokens / 1e4, 0)
    model = model_of(findings, language)
    return language.texts["rung"].format(rung=escape(name), model=model, tokens=millions, ten_thousands=ten_thousands)


def tokens_of(findings: Findings) -> float:
    """Return the training tokens of a baseline run; NaN if the record does not state them."""
    baseline = findings.record.arm(findings.study.baseline)
    return float(baseline[TOKENS].median()) if TOKENS in baseline else math.nan


def is_early(findings: Findings) -> bool:
    """Return whether a study covers only early training: judged by its baseline's onset, else by its length."""
    fit = is_fit(findings)
    return tokens_of(findings) < SHORT if fit is None else not fit


def _training(findings: Findings, language: Language) -> str:
    """Describe when the baseline begins to use context, and what more training would change."""
    shares, parts = left_at(findings), []
    middle = float(np.median(shares)) if len(shares) else math.nan
    if math.isfinite(middle) and not is_continued(findings):
        name = "within" if onsets_in(findings, findings.study.baseline).is_bound else "plateau"
        parts.append(language.texts[name].format(share=percent(middle)))
    if is_early(findings):
        parts.append(language.texts["early"])
    scale = outcome_scale(findings)
    if math.isfinite(findings.slope) and findings.slope:
        more = number(scale.factor * abs(findings.slope) * math.log(2), 1)
        name = "more_loss" if findings.outcome.lower_is_better else "more_share"
        parts.append(language.texts[name].format(more=f"{more} {language.units.get(scale.apart, scale.apart)}"))
    return language.then.join(parts)


def not_begun(findings: Findings, arms: Iterable[str], language: Language) -> str:
    """Describe which of the arms have runs that never began to use context; "" if all runs did.

    Arms whose runs learned what fails them where they are judged are left out.
    """
    found = {arm: onsets_in(findings, arm) for arm in arms}
    late = {arm: own for arm, own in found.items() if own.never and not own.is_misled}
    none = [_name(findings, arm, language) for arm, own in late.items() if own.never == own.n]
    some = [
        language.texts["some"].format(n=own.never, runs=own.n, arm=_name(findings, arm, language))
        for arm, own in late.items()
        if own.never < own.n
    ]
    parts = []
    if none:
        about = language.texts["about_begin"] if findings.study.outcome in LOSSES else ""
        parts.append(language.texts["none_began"].format(arms=language.listing(none)) + about)
    if some:
        parts.append(language.texts["some_began"].format(arms=language.listing(some, "and")))
    return language.then.join(parts)


def _known(known: Findings | None, language: Language) -> str:
    if known is None:
        return language.texts["unasked"]
    found = right_answers(known)
    return language.texts["right" if found else "unseen"].format(right=(found or [0])[0], asked=len(known.primary))


def _reserve(judged: Judged) -> str:
    """Return the name of the text about a result's limitation; "" if there is none."""
    if judged.held:
        return "held"
    return "chance" if judged.finding is Finding.UNDECIDED and judged.refutation <= ALPHA else ""


def _name(findings: Findings, arm: str, language: Language) -> str:
    return named(findings.study, arm, language.code)
