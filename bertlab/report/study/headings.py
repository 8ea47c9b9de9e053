"""The titles of a study's figures, one plain sentence each.

Enters: `Findings`. Leaves: text without markup. A verdict or a number chooses the sentence.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bertlab.report.answers.language import Language
from bertlab.report.layout import MOST, fitted
from bertlab.report.settings import setting_of
from bertlab.report.study.scale import Scale
from bertlab.report.study.sweep import result_of
from bertlab.report.study.trend import best_of
from bertlab.report.study.verdict import reasons_against
from bertlab.report.words import DASH, count, listing, plural, some, unescaped
from bertlab.study.judge import Findings
from bertlab.study.labels import label
from bertlab.study.onset import Started
from bertlab.study.outcome import outcome_of
from bertlab.study.search import best_values

MADE = {  # parts of a difference -> words in a sentence
    "mostly a later start": "mostly a later start with {arms}",
    "mostly an earlier start": "mostly an earlier start with {arms}",
    "mostly after the start": "mostly what follows the start with {arms}",
    "both": "both the start and what follows it with {arms}",
    "both, against each other": "the start against what follows it with {arms}",
    "only the start is sure": "surely in the start with {arms}, unsure in the rest",
    "only what follows the start is sure": "surely in what follows the start with {arms}, unsure in the start itself",
    "neither part is sure": "not known in its parts with {arms}",
}


@dataclass(frozen=True)
class Brief(Language):
    """A language whose lists name at most `most` arms."""

    most: int = 1

    def listing(self, items: list[str], last: str = "or") -> str:
        """Join the first items, and how many others there are."""
        return super().listing(some(items, self.most), "and" if len(items) > self.most else last)


def found(findings: Findings) -> str:
    """Describe what decides the claim's finding; of too many results only the most frequent."""
    if findings.study.explores:
        return unescaped(result_of(findings)[0])
    if reasons := reasons_against(findings):
        return f"The claim could not be judged: {'; '.join(reasons)}."
    return fitted(_found(findings))


def _found(findings: Findings) -> Iterator[str]:
    """Yield shorter and shorter titles."""
    from bertlab.report.answers.english import ENGLISH  # imported late: the answers import this room
    from bertlab.report.answers.sentences import compare, plain

    brief = [Brief(**vars(ENGLISH), most=names) for names in MOST]
    yield from (unescaped(plain(findings, language)) for language in brief)
    own = findings.primary.values()
    results = [(judged.verdict.kind, judged.against) for judged in own]
    most = max(results, key=results.count)
    alike = [judged for judged, result in zip(own, results, strict=True) if result == most]
    others = f"; not so with {plural(len(own) - len(alike), 'other arm')}."
    yield from (unescaped(compare(findings, alike, language)).rstrip(".") + others for language in brief)


def ends(findings: Findings, metric: str, means: Mapping[str, float], scale: Scale) -> str:
    """Name the arm that ends best by a metric, and the baseline's end. `means`: in the unit of the scale."""
    study, (first, *others) = findings.study, best_first(metric, means)
    side = "lowest" if outcome_of(metric).lower_is_better else "highest"
    value = {arm: scale.written(mean) for arm, mean in means.items()}
    if first == study.baseline:
        rest = f"; next comes {label(study, others[0])}, at {value[others[0]]}" if others else ""
        return f"The baseline, {label(study, first)}, ends {side}, at {value[first]}{rest}."
    base = f"; the baseline, {label(study, study.baseline)}, ends at {value.get(study.baseline, DASH)}"
    return f"{_capital(label(study, first))} ends {side}, at {value[first]}{base}."


def best_first(metric: str, means: Mapping[str, float]) -> list[str]:
    """Return arms ordered by mean, the best first."""
    sign = 1 if outcome_of(metric).lower_is_better else -1
    return sorted(means, key=lambda arm: sign * means[arm])


def apart(last: Sequence[float], margin: float) -> str:
    """Count the arms that end beyond the margin on average. `last`: each arm's mean difference, negative is better."""
    if not margin:
        ahead = sum(each < 0 for each in last)
        ends = f"{'ends' if ahead == 1 else 'end'} ahead of the baseline on average over seeds"
        return f"{count(ahead)} of {plural(len(last), 'arm')} {ends}."
    ahead, behind = sum(each < -margin for each in last), sum(each > margin for each in last)
    sides = {
        "ahead by more than the margin": ahead,
        "behind by more than the margin": behind,
        "within the margin": len(last) - ahead - behind,
    }
    if len(last) == 1:
        return f"At the end the arm is {next(words for words, n in sides.items() if n)} (mean over seeds)."
    said = listing(f"{count(n)} {'is' if n == 1 else 'are'} {words}" for words, n in sides.items() if n)
    return f"Of {count(len(last))} arms {said} at the end (means over seeds)."


def made_of(findings: Findings, started: Started, arms: Sequence[str]) -> str:
    """Describe the parts of the differences; arms with the same answer together."""
    made = {word: [label(findings.study, arm) for arm in arms if started.parts[arm].word == word] for word in MADE}

    def title(most: int) -> str:
        said = (MADE[word].format(arms=listing(some(own, most))) for word, own in made.items() if own)
        return f"The difference is {'; '.join(said)}."

    return fitted(map(title, MOST))


def best_dose(findings: Findings, table: pd.DataFrame) -> str:
    """Describe where along a factor the outcome is best, if the seeds show it."""
    trend = findings.study.trend
    assert trend is not None
    best, words = best_of(findings, table), setting_of(trend.factor).words
    if best is None or not best.shown or not math.isfinite(best.value):
        return f"Along the {words} the seeds show no best value."
    place = f"The best {words} is near {best.value:.3g} (90 % interval {best.low:.3g} to {best.high:.3g})"
    return f"{place}{'' if best.inside else ', which reaches beyond what was tried'}."


def best_trials(findings: Findings) -> str:
    """Describe which value is best for which arms."""
    study = findings.record.registered
    assert study.search is not None
    by_value: dict[float, list[str]] = {}
    for arm, value in best_values(study, findings.record.runs).items():
        by_value.setdefault(value, []).append(label(findings.study, arm))
    words = setting_of(study.search.setting).words

    def title(most: int) -> str:
        said = (f"{value:g} for {listing(some(arms, most))}" for value, arms in sorted(by_value.items()))
        return f"The best {words} is {'; '.join(said)}."

    return fitted(map(title, MOST))


def _capital(words: str) -> str:
    return words if "=" in words else f"{words[0].upper()}{words[1:]}"  # keep a setting unchanged
