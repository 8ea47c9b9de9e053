"""Whether a regime is fit: when its baseline leaves the plateau, and which known answers it gives."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.sentences import regime as answer_regime
from bertlab.report.regime import regime
from bertlab.report.study.fitness import by_trust, is_continued, is_fit, known_answers, left_at, spread_of, start_words
from bertlab.study.judge import Findings, judge
from bertlab.study.record import canonical
from bertlab.study.regime import Optimizer, StartWeights
from tests.report.study.conftest import REGIME, MakeFindings

BUDGET = 1_000_000
SHARES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.5, 1.0)  # of the budget: the points of a curve


def followed(findings: Findings, leaving: Sequence[float]) -> Findings:
    """Give the baseline's runs a context gain that rises with ln tokens and passes the floor at these shares."""
    record = findings.record
    runs = record.arm(findings.study.baseline)["run_id"]
    points = [
        (run, "eval/context_gain", step, round(share * BUDGET), findings.study.floor + float(np.log(share / left)))
        for run, left in zip(runs, leaving, strict=True)
        for step, share in enumerate(SHARES)
    ]
    table = pd.DataFrame(points, columns=["run_id", "metric", "step", "tokens", "value"])
    return judge(canonical(replace(record, curves=pd.concat([record.curves, table]))))


@pytest.mark.parametrize(
    ("leaving", "fit"),
    [
        ((0.03, 0.04, 0.045, 0.03, 0.06), True),
        ((0.03, 0.04, 0.045, 0.03, 0.11), False),  # one late
        ((0.03, 0.06, 0.06, 0.03, 0.06), False),  # the middle one late
    ],
)
def test_a_regime_is_fit_where_the_middle_run_leaves_in_a_twentieth_and_none_after_a_tenth(
    make_findings: MakeFindings, leaving: Sequence[float], fit: bool
) -> None:
    findings = followed(make_findings(), leaving)
    assert left_at(findings) == pytest.approx(leaving, rel=1e-3)
    assert is_fit(findings) is fit
    words = start_words(findings)
    assert f"after {100 * float(np.median(leaving)):.1f} % of the budget (5 runs)" in words
    assert words.endswith("early training only") is not fit


@pytest.mark.parametrize(("sd", "fit"), [(0.02, True), (0.045, False)])  # the margin is 0.089
def test_a_regime_is_fit_where_equal_runs_differ_by_a_third_of_the_margin_at_most(
    make_findings: MakeFindings, sd: float, fit: bool
) -> None:
    findings = followed(make_findings({"same": {"sd": sd}}), (0.03, 0.04, 0.045, 0.03, 0.06))
    assert spread_of(findings) == pytest.approx(sd / findings.margin, rel=0.3)
    assert is_fit(findings) is fit
    said = "; the differences of equal runs have a standard deviation of 0.5 margins: early training only"
    assert start_words(findings).endswith(said) is not fit


def test_studies_of_a_fit_regime_are_first_and_those_that_have_not_run_last(make_findings: MakeFindings) -> None:
    fit, late = (followed(make_findings(), [start] * 5) for start in (0.03, 0.2))
    studies = {"b_late": late, "c_fit": fit, "d_not_followed": make_findings()}
    assert by_trust(["a_not_run", *studies], studies) == ["c_fit", "b_late", "d_not_followed", "a_not_run"]


def test_runs_that_never_leave_differ_from_curves_that_were_not_followed(make_findings: MakeFindings) -> None:
    stuck = followed(make_findings(), (2.0, 2.0, 2.0, 0.03, 0.03))
    assert is_fit(stuck) is False
    assert "in fewer than half of the runs" in start_words(stuck)
    assert is_fit(make_findings()) is None
    assert "was not followed" in start_words(make_findings())


def test_a_baseline_that_left_before_its_first_evaluation_has_a_bound(make_findings: MakeFindings) -> None:
    words = start_words(followed(make_findings(), (0.005, 0.005, 0.005, 0.03, 0.04)))
    assert "within the first 1.0 % of the budget, before its first evaluation (5 runs)" in words
    assert "before" not in start_words(followed(make_findings(), (0.005, 0.005, 0.02, 0.03, 0.04)))


def test_runs_that_start_from_trained_weights_are_said_to(make_findings: MakeFindings) -> None:
    trunk = {"overrides": ["schedule=constant"], "tokens": 4_600_000}
    grown = make_findings(node={"trunk": trunk, "margin": {"nats": 0.1}})
    taken = make_findings(regime=replace(REGIME, start=StartWeights("novels", "0123abcd")))
    assert is_continued(grown)
    assert is_continued(taken)
    assert not is_continued(make_findings())
    assert start_words(grown) == start_words(taken) == "runs start from trained weights"
    assert regime(grown).startswith("2 layers, width 64, 2 heads, trained on 4.6 M tokens before; ")
    assert regime(taken).startswith("2 layers, width 64, 2 heads, trained before; ")
    assert answer_regime(grown, ENGLISH).startswith(
        "2 layers of width 64 with 2 heads that were trained on 4.60 million"
    )


def test_a_regime_names_an_optimizer_that_is_not_the_usual_one(make_findings: MakeFindings) -> None:
    usual, other = (
        make_findings(regime=replace(REGIME, optimizer=Optimizer(name, 0.002))) for name in ("adamw", "muon")
    )
    assert regime(other) != regime(usual)
    assert "; trained by muon" in regime(other)
    assert "adamw" not in regime(usual)
    assert "2 heads, trained by muon" in answer_regime(other, ENGLISH)


def test_known_answers_are_the_expected_arms_that_were_found(make_findings: MakeFindings) -> None:
    expects = {"rate_05": "worse", "rate_30": "worse", "rate_60": "worse"}
    found = make_findings({"rate_60": {"effect": 0.4}}, node={"expects": expects})
    assert known_answers(found) == "known answers: 2 of 3"
    unsound = make_findings(node={"expects": expects}, gain=0.1)
    assert "could not be judged" in known_answers(unsound)


@pytest.mark.parametrize(("known", "fit"), [(None, True), ((5, 5), True), ((2, 5), False)])
def test_a_regime_is_fit_where_it_gives_every_known_answer_that_was_asked(
    make_findings: MakeFindings, known: tuple[int, int] | None, fit: bool
) -> None:
    findings = replace(followed(make_findings(), (0.03, 0.04, 0.045, 0.03, 0.06)), known=known)
    assert is_fit(findings) is fit
    assert start_words(findings).endswith("; known answers: 2 of 5: early training only") is not fit
    late = followed(make_findings(), (0.03, 0.06, 0.06, 0.03, 0.06))
    assert by_trust(["a_late", "b_own"], {"a_late": late, "b_own": findings}) == ["b_own", "a_late"]
