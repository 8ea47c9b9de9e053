"""The rule in JavaScript agrees with bertlab.stats and bertlab.study.judge."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bertlab.report.answers.write import judged
from bertlab.report.site.data import study_data
from bertlab.report.study.contrasts import in_order
from bertlab.report.study.verdict import NOT_JUDGED, status_word
from bertlab.stats.claim import Expectation, claim_p, findings
from bertlab.stats.interval import NOTHING_SHARED, Shared, around, errors
from bertlab.stats.rule import BY_INTERVAL, kind
from bertlab.study.judge import Findings, at_margin
from tests.report.site.conftest import REPORTS

InNode = Callable[[str, Any], Any]
FACTORS = (1 / 6, 1 / 3, 0.7, 1, 1.5, 3, 6)  # of the registered margin
FEW, MANY = 1_000, 10_000  # contrasts drawn
JUDGED = """
const unfold = (table) => table.rows.map((row) => Object.fromEntries(table.columns.map((name, at) => [name, row[at]])));
result = data.studies.map((study) => {
  study.contrasts = unfold(study.contrasts); study.controls = unfold(study.controls);
  return data.factors.map((factor) => {
    const { contrasts, controls, finding } = rule.judgeStudy(study, factor * study.margin);
    return [finding, ...[...contrasts, ...controls].map((each) => [each.words, each.finding ?? null])];
  });
});
"""


def drawn(contrasts: int) -> list[dict[str, Any]]:
    """Draw contrasts of every kind, with Python's result for each."""
    rng, cases = np.random.default_rng(20261130), []
    for _ in range(contrasts):
        n, sd, margin = int(rng.integers(2, 25)), float(rng.lognormal(-3, 1)), float(rng.lognormal(-3, 0.7))
        mean, df = float(rng.normal(0, 2 * margin)), n - 1 + float(rng.choice([0, 4.3, 57.9]))
        share = Shared(sd**2 / n * float(rng.lognormal(-2, 1)), float(rng.choice([3, 11, math.inf])))
        text = share if rng.random() < 0.5 else NOTHING_SHARED
        own = around(mean, sd, n, df, level := float(rng.choice([0.9, 0.9381659, 0.95])), text)
        se_K, df_K = errors(sd**2 / n, df, text.variance, text.df)
        p = {each.value: [float(p.max()) for p in claim_p(each, mean, se_K, df_K, margin)] for each in Expectation}
        contrast = {"mean": mean, "sd": sd, "n": n, "df": df}
        contrast |= {"text": [text.variance, text.df] if text.variance else None}
        told = {"low": own.low, "high": own.high, "kind": kind(own.low, own.high, margin).value, "p": p}
        cases.append({"contrast": contrast, "level": level, "margin": margin, **told})
    return cases


@pytest.mark.parametrize("contrasts", [FEW, pytest.param(MANY, marks=pytest.mark.integration)])
def test_drawn_contrasts_are_judged_alike(contrasts: int, in_node: InNode) -> None:
    cases = drawn(contrasts)
    assert {case["kind"] for case in cases} == {each.value for each in BY_INTERVAL}
    script = """
    let wrong = 0, end = 0, p = 0;
    for (const { contrast, level, margin, ...told } of data) {
      const own = rule.interval(contrast, level);
      if (rule.kind(own.low, own.high, margin) !== told.kind) wrong++;
      end = Math.max(end, Math.abs(own.low - told.low) / own.se, Math.abs(own.high - told.high) / own.se);
      for (const [expects, [support, refutation]] of Object.entries(told.p)) {
        const found = rule.claimP(expects, own, margin);
        p = Math.max(p, Math.abs(found.support - support), Math.abs(found.refutation - refutation));
      }
    }
    result = { wrong, end, p };
    """
    found = in_node(script, cases)
    assert found["wrong"] == 0
    assert found["end"] < 1e-9
    assert found["p"] < 1e-9


def test_claims_about_several_arms_are_corrected_alike(in_node: InNode) -> None:
    rng = np.random.default_rng(7)
    cases = [rng.beta(0.3, 3, size=(2, int(rng.integers(1, 7)))).tolist() for _ in range(2000)]
    found = in_node("result = data.map(([support, refutation]) => rule.findings(support, refutation));", cases)
    told = [[each.value for each in findings(*case)] for case in cases]
    assert found == told
    assert {each for case in told for each in case} == {"SUPPORTED", "REFUTED", "UNDECIDED"}


def compare(studies: list[Findings], in_node: InNode) -> int:
    """Compare every verdict and finding of some studies at several margins; return how many contrasts these were."""
    data = {"studies": [study_data(each) for each in studies], "factors": FACTORS}
    compared = 0
    for study, found in zip(studies, in_node(JUDGED, data), strict=True):
        for factor, (finding, *arms) in zip(FACTORS, found, strict=True):
            now = at_margin(study, factor * study.margin)
            own = [*in_order(now), *now.controls.values()]
            told = [[each.verdict.words, each.finding.value if each.finding else None] for each in own]
            assert arms == told, (study.study.id, factor)
            assert finding == (status_word(now) if status_word(now) == NOT_JUDGED else now.finding.value)
            compared += len(own)
    return compared


def test_a_few_studies_are_judged_alike_at_every_margin(reports: Any, in_node: InNode) -> None:
    assert compare([*judged(reports).values()], in_node) > 100


@pytest.mark.integration
def test_all_committed_studies_are_judged_alike_at_every_margin(in_node: InNode) -> None:
    assert compare([*judged(REPORTS).values()], in_node) > 7 * 194
