"""The values of braces in a template: numbers and sentences from records and facts, by name.

    {study.mask_rate.margin}                           of a study: margin, seeds, tokens, gain
    {study.mask_rate.rate_40.difference}               of an arm: difference, interval, value, onset, label, plain
    {study.cls.mean.value:eval/mlm_loss}               value and difference also of another metric of the runs
    {fact.count.parameters} {fact.inputs.padding 4|%}  a number of a fact, in the format after the bar
    {fact.count.table}                                 the table of a fact
    {agrees mask_rate.rate_40 better}                  whether this was the result here
    {published 84.4}                                   a published number, unchanged

Enters: a template's text. Leaves: the text with all braces replaced; a dash for a missing study or fact.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertlab.config.errors import InputError
from bertlab.report.answers.language import Language
from bertlab.report.answers.sentences import agreement, compare, tokens_of
from bertlab.report.study.scale import Scale, outcome_scale, scale_of
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, number
from bertlab.study.judge import Findings, Judged
from bertlab.study.labels import label
from bertlab.study.onset import onsets_in
from bertlab.study.record import reading
from bertlab.study.values import DIRECTIONS

PLACE = re.compile(r"\{(study|fact|agrees|published)\b([^{}]*)\}")
NUMBERS = Path("facts", "facts.json")
WAYS: Mapping[str, Callable[[float], str]] = {  # formats of a fact's number
    "": lambda value: count(value) if value == round(value) else number(value, 2),
    "%": lambda value: f"{number(100 * value, 0)} %",
    "2": lambda value: number(value, 2),
    "3": lambda value: number(value, 3),
    "M": lambda value: number(value / 1e6, 1),
    "G": lambda value: number(value / 1e9, 2),
    "MiB": lambda value: f"{number(value / 2**20, 1)} MiB",
}


@dataclass(frozen=True)
class Values:
    """All values that templates may name, in one language."""

    studies: Mapping[str, Findings]
    made: Mapping[str, str]  # parts of the difference that decides a study's finding
    known: Mapping[str, Findings]  # by study: the study that tested known answers in the same regime
    facts: Mapping[str, Mapping[str, Any]]
    language: Language

    def fill(self, text: str) -> str:
        """Return the text with all braces replaced. Raises InputError for an unknown name."""
        return PLACE.sub(
            lambda found: self._value(found[0], found[1], found[2]).replace(" %", self.language.percent), text
        )

    def _value(self, place: str, kind: str, rest: str) -> str:
        try:
            return str(getattr(self, f"_{kind}")(rest))
        except (KeyError, ValueError, IndexError) as error:
            raise InputError(
                f"an answer may name what records and facts hold, got {place} ({error}); see "
                "bertlab/report/answers/values.py"
            ) from error

    def _published(self, rest: str) -> str:
        return escape(rest.strip())

    def _agrees(self, rest: str) -> str:
        name, direction = rest.split()
        study, arm = name.split(".")
        if direction not in DIRECTIONS:
            raise ValueError(direction)
        found = agreement(self.studies[study].arms[arm], direction) if study in self.studies else "open"
        return self.language.texts["here"].format(found=self.language.agreement[found])

    def _fact(self, rest: str) -> str:
        claim, _, name = rest.removeprefix(".").partition(".")
        if not self.facts:
            return DASH
        fact = self.facts[claim]
        if name == "table":
            return self._table(fact)
        name, _, way = name.partition("|")
        return WAYS[way](fact["numbers"][name])

    def _table(self, fact: Mapping[str, Any]) -> str:
        cells = self.language.cells
        rows = [[cells.get(cell, cell) for cell in row] for row in [fact["header"], *fact["rows"]]]
        return Table(rows[0], rows[1:]).markdown()

    def _study(self, rest: str) -> str:
        words, _, metric = rest.removeprefix(".").partition(":")
        study, *arm, field = words.split(".")
        if study not in self.studies:
            return DASH
        findings = self.studies[study]
        if not arm:
            return self._of_study(findings, field)
        return self._of_arm(findings, arm[0], field, metric)

    def _of_study(self, findings: Findings, field: str) -> str:
        scale = outcome_scale(findings)
        return {
            "margin": f"{scale.value(findings.margin)} {self._unit(scale.apart)}",
            "seeds": count(findings.seeds),
            "tokens": number(tokens_of(findings) / 1e6, 2),
            "gain": f"{number(findings.gain, 2)} {self._unit('nats')}",
        }[field]

    def _of_arm(self, findings: Findings, arm: str, field: str, metric: str) -> str:
        if arm not in findings.study.arms:
            raise KeyError(arm)
        if field == "label":
            return escape(label(findings.study, arm, self.language.code))
        metric = metric or findings.study.outcome
        own = findings.record.arm(arm)
        if field == "value":
            scale = _scale(findings, metric)
            return f"{scale.value(own[metric].astype(float).mean())} {self._unit(scale.unit)}"
        if field == "onset":
            found = onsets_in(findings, arm)
            if not math.isfinite(found.median):
                return DASH
            value = number(math.exp(found.median) / 1e6, 2)
            return self.language.texts["at_most"].format(value=value) if found.is_bound else value
        judged = findings.arms[arm]
        return {"difference": self._difference, "interval": self._interval, "plain": self._plain}[field](
            findings, judged, metric
        )

    def _difference(self, findings: Findings, judged: Judged, metric: str) -> str:
        scale = _scale(findings, metric)
        if metric == findings.study.outcome:
            apart = judged.contrast.mean
        else:
            own, base = (findings.record.arm(arm)[metric].astype(float) for arm in (judged.arm, judged.against))
            apart = float((own - base).dropna().mean())
        return f"{scale.signed(apart)} {self._unit(scale.apart)}"

    def _interval(self, findings: Findings, judged: Judged, _: str) -> str:
        ends = judged.interval.low, judged.interval.high
        return outcome_scale(findings).between(*ends, self.language.texts["to"])

    def _plain(self, findings: Findings, judged: Judged, _: str) -> str:
        return compare(findings, [judged], self.language)

    def _unit(self, unit: str) -> str:
        return self.language.units.get(unit, unit)


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the numbers and tables of facts of a folder of reports; empty if there are none.

    Raises InputError for a damaged file.
    """
    path = folder / NUMBERS
    with reading(folder):
        return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def _scale(findings: Findings, metric: str) -> Scale:
    return outcome_scale(findings) if metric == findings.study.outcome else scale_of(metric)
