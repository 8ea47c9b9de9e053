"""Figures of a study: which there are, and that what they show stands in them."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bertlab.report.draw import svg
from bertlab.report.figures import Drawing
from bertlab.report.study import plots
from bertlab.report.study.curves import band_of, curve_of, distance, whole_curve
from bertlab.report.study.figures import drawings
from bertlab.study.judge import Findings, judge
from tests.report.study.conftest import make_record

MakeFindings = Callable[..., Findings]
PAIRS = {"outcome": "eval/pair_accuracy", "margin": {"share": 0.02}}
PAIR_ARMS = {"same": {"sd": 0.005}, "harmful": {"effect": -0.2}}


def drawn(findings: Findings) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in drawings(findings)}


def texts(drawing: Drawing) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg(drawing.draw).decode())


def test_a_study_shows_contrasts_convergence_distances_and_its_trend(make_findings: MakeFindings) -> None:
    assert list(drawn(make_findings())) == ["forest", "convergence", "difference", "trend"]


def test_another_outcome_is_shown_beside_the_masked_loss(make_findings: MakeFindings) -> None:
    found = drawn(make_findings(PAIR_ARMS, {**PAIRS, "trend": None}, {"margin": "0.02", "slope": "0.05"}))
    assert list(found) == ["forest", "convergence", "mlm_loss_convergence", "difference"]
    assert "guessing" in texts(found["convergence"])
    assert "unigram" in texts(found["mlm_loss_convergence"])


def test_a_secondary_outcome_that_tells_another_thing_than_the_loss_is_shown_along_the_run() -> None:
    entropy, record = (
        "eval/attention_entropy",
        make_record(node={"secondary": ["eval/mlm_accuracy", "eval/attention_entropy"]}),
    )
    share = record.curves.assign(metric=entropy, value=record.curves["value"] / 10)
    runs = record.runs.assign(**{entropy: record.runs["eval/mlm_loss"] / 10})
    found = drawn(judge(replace(record, runs=runs, curves=pd.concat([record.curves, share]))))
    assert list(found) == ["forest", "convergence", "attention_entropy_convergence", "difference", "trend"]
    assert "eval/attention_entropy on held-out text (%)" in texts(found["attention_entropy_convergence"])


def test_the_forest_names_every_arm_its_difference_and_its_verdict(make_findings: MakeFindings) -> None:
    shown = texts(drawn(make_findings())["forest"])
    for text in ("rate_05", "+0.250", "WORSE (material)", "rate_60", "exploratory", "← better", "worse →"):
        assert text in shown


def test_sides_of_the_forest_turn_where_higher_is_better(make_findings: MakeFindings) -> None:
    found = drawn(make_findings(PAIR_ARMS, PAIRS, {"margin": "0.02", "slope": "0.05"}))
    assert "← worse" in texts(found["forest"])


def test_what_lies_far_off_becomes_an_arrow_and_the_margin_stays_visible() -> None:
    def one(mean: float) -> plots.Contrast:
        return plots.Contrast("arm", mean, mean - 0.01, mean + 0.01, (mean,), ("", ""), primary=True)

    figure = plots.forest([one(0.05), one(9.0)], 0.1, title="", sides=("better", "worse"))
    axes = figure.axes[0]
    assert axes.get_xlim()[1] == pytest.approx(plots.HEADROOM * plots.REACH * 0.1)
    assert ">" in {line.get_marker() for line in axes.lines}


def test_where_all_lies_far_off_the_nearest_contrast_is_seen() -> None:
    far = [plots.Contrast("arm", mean, mean - 1, mean + 1, (), ("", ""), primary=True) for mean in (-65.0, 24.0)]
    axes = plots.forest(far, 2.0, title="", sides=("worse", "better")).axes[0]
    assert axes.get_xlim()[1] == pytest.approx(plots.HEADROOM * 66)
    assert not {"<", ">"} & {line.get_marker() for line in axes.lines}


def test_each_primary_arm_has_a_panel_with_the_margin(make_findings: MakeFindings) -> None:
    figure = drawn(make_findings())["difference"].draw()
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["rate_05", "rate_30"]
    for axes in shown:
        edges = sorted({float(np.asarray(line.get_ydata())[0]) for line in axes.lines if line.get_linestyle() == "--"})
        assert edges == pytest.approx([-0.0893, 0.0893], abs=1e-4)


def test_panels_with_long_names_stand_two_abreast() -> None:
    def named(name: str) -> plots.Panel:
        return plots.Panel(name, "+0.100", [], ([1e5, 1e6], [0.1, 0.1]))

    def across(names: list[str]) -> int:
        figure = plots.bands([named(name) for name in names], 0.1, title="", window=1.0)
        return len({round(axes.get_position().x0, 3) for axes in figure.axes})

    assert across(["a", "b", "c"]) == 3
    assert across(["a", "b", "the maximum of all the states"]) == 2


def test_a_band_holds_the_mean_and_needs_three_seeds(make_findings: MakeFindings) -> None:
    findings = make_findings()
    apart = distance(findings, "rate_30", "eval/mlm_loss")
    band = band_of(findings, "rate_30", apart)
    assert band is not None
    assert all(low < mean < high for low, mean, high in zip(band.low, band.mean, band.high, strict=True))
    assert band_of(findings, "rate_30", apart.iloc[:2]) is None


def test_a_diverged_run_keeps_its_curve_as_far_as_it_got(make_findings: MakeFindings) -> None:
    findings = make_findings({"rate_30": {"diverged": (1,)}})
    curve = curve_of(findings, "rate_30", "eval/mlm_loss")
    whole = whole_curve(findings, "rate_30", "eval/mlm_loss", curve)
    assert curve.index.tolist() == [0, 2, 3, 4]
    assert whole.notna().sum(axis=1).tolist() == [12, 4, 12, 12, 12]


def test_the_same_study_gives_the_same_bytes(make_findings: MakeFindings) -> None:
    first, second = (drawn(make_findings()) for _ in range(2))
    assert {name: svg(one.draw) for name, one in first.items()} == {name: svg(one.draw) for name, one in second.items()}
