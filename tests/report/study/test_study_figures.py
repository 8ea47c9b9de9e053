"""Figures of a study: which exist, and that they contain what they show."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from bertlab.report.draw import NAMED, svg
from bertlab.report.figures import Drawing
from bertlab.report.layout import LINES, Head, title_lines
from bertlab.report.study import marks, plots
from bertlab.report.study.curves import band_of, curve_of, distance, whole_curve
from bertlab.report.study.figures import drawings
from bertlab.study.judge import Findings, judge
from bertlab.study.regime import FrozenMargin
from tests.report.study.axes import assert_fits
from tests.report.study.conftest import make_record

MakeFindings = Callable[..., Findings]
PAIRS = {"outcome": "eval/pair_accuracy", "margin": {"share": 0.02}}
PAIR_ARMS = {"same": {"sd": 0.005}, "harmful": {"effect": -0.2}}


def drawn(findings: Findings) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in drawings(findings)}


def texts(drawing: Drawing) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg(drawing.draw).decode())


def contrast(mean: float, half: float, dots: tuple[float, ...] = (), mark: marks.Mark = marks.WORSE) -> plots.ForestRow:
    return plots.ForestRow("arm", mean, mean - half, mean + half, dots, ("", ""), mark)


def forest(contrasts: list[plots.ForestRow], margin: float) -> Axes:
    return plots.forest(contrasts, margin, head=Head(""), sides=("better", "worse"), size="").axes[0]


def test_a_study_shows_contrasts_convergence_distances_and_its_trend(make_findings: MakeFindings) -> None:
    assert list(drawn(make_findings())) == ["forest", "convergence", "difference", "trend"]


def test_another_outcome_is_shown_beside_the_masked_loss(make_findings: MakeFindings) -> None:
    found = drawn(make_findings(PAIR_ARMS, {**PAIRS, "trend": None}, frozen=FrozenMargin(0.02, 0.05)))
    assert list(found) == ["forest", "convergence", "mlm_loss_convergence", "difference"]
    assert "guessing" in texts(found["convergence"])
    assert "unigram" in texts(found["mlm_loss_convergence"])


def test_a_secondary_outcome_other_than_the_loss_is_shown_along_the_run() -> None:
    entropy, record = (
        "eval/attention_entropy",
        make_record(node={"secondary": ["eval/mlm_accuracy", "eval/attention_entropy"]}),
    )
    share = record.curves.assign(metric=entropy, value=record.curves["value"] / 10)
    runs = record.runs.assign(**{entropy: record.runs["eval/mlm_loss"] / 10})
    found = drawn(judge(replace(record, runs=runs, curves=pd.concat([record.curves, share]))))
    assert list(found) == ["forest", "convergence", "attention_entropy_convergence", "difference", "trend"]
    about = "Spread of attention, as a share of the highest (%; ↑ better)"
    assert about in texts(found["attention_entropy_convergence"])


def test_the_forest_names_every_arm_its_interval_and_its_verdict(make_findings: MakeFindings) -> None:
    shown = texts(drawn(make_findings())["forest"])
    for text in ("a mask rate of 5 %", "WORSE (material)", "a mask rate of 60 %", "exploratory", "← better", "worse →"):
        assert text in shown
    assert any(text.startswith("+0.250 (+0.") for text in shown)


def test_a_figure_has_its_finding_and_numbers_as_text(make_findings: MakeFindings) -> None:
    drawing = drawn(make_findings())["forest"]
    text = drawing.svg.decode()
    assert '<svg role="img" ' in text
    assert f"<title>{drawing.finding}</title>" in text
    assert drawing.finding.startswith("After short training, compared with a mask rate of 15 %, hidden words")
    assert re.search(r"<desc>Contrasts\. .*a mask rate of 5 %: \+0\.250 \(.*\), WORSE \(material\)\.", text)
    assert text.count("@media (prefers-color-scheme: dark)") == 1


def test_titles_say_what_the_numbers_say(make_findings: MakeFindings) -> None:
    found = drawn(make_findings())
    assert found["convergence"].finding == (
        "The baseline, a mask rate of 15 %, ends lowest, at 4.020 nats; next comes a mask rate of 30 %, at 4.030 nats."
    )
    assert found["difference"].finding == (
        "Of 2 arms 1 is behind by more than the margin and 1 is within the margin at the end (means over seeds)."
    )
    assert found["trend"].finding.startswith(("The best mask rate is near", "Along the mask rate the seeds show no"))


def test_a_title_that_would_name_many_arms_names_some_and_counts_the_others() -> None:
    arms = {f"rate_{n:02}": [f"mask.rate=0.{n:02}"] for n in (15, 5, 10, 20, 30, 40, 50, 60)}
    labels = {arm: f"a mask rate that is written in as many words as {arm}" for arm in arms}
    about = {arm: {"effect": 0.4} for arm in arms if arm != "rate_15"}
    node = {"arms": arms, "labels": labels, "expects": dict.fromkeys(about, "worse"), "trend": None}
    found = drawn(judge(make_record(about, node)))
    assert "other arms than with" in found["forest"].finding
    assert [name for name, drawing in found.items() if len(title_lines(drawing.finding)) > LINES] == []


def test_every_verdict_has_a_colour_and_a_shape_of_its_own() -> None:
    every = (marks.BETTER, marks.WORSE, marks.SAME, marks.OPEN, marks.NOT_JUDGED, marks.EXPLORATORY)
    assert len({mark.shape for mark in every}) == len(every)
    assert len({mark.colour for mark in (marks.BETTER, marks.WORSE, marks.SAME, marks.OPEN)}) == 4


def test_of_many_arms_only_the_baseline_and_the_best_are_coloured() -> None:
    arms = {f"rate_{n:02}": [f"mask.rate=0.{n:02}"] for n in (15, 5, 10, 20, 30, 40, 50, 60)}
    about = {arm: {"effect": 0.1 * place} for place, arm in enumerate(arms)} | {"rate_40": {"effect": -0.3}}
    node = {"arms": arms, "baseline": "rate_15", "expects": {"rate_05": "worse"}, "trend": None, "against": {}}
    figure = drawn(judge(make_record(about, node)))["convergence"].draw()
    bold = {str(line.get_color()) for line in figure.axes[0].lines if line.get_linewidth() > 2}
    assert bold == {NAMED[0], NAMED[1]}


def test_sides_of_the_forest_turn_where_higher_is_better(make_findings: MakeFindings) -> None:
    found = drawn(make_findings(PAIR_ARMS, PAIRS, frozen=FrozenMargin(0.02, 0.05)))
    assert "← worse" in texts(found["forest"])


@pytest.mark.parametrize("means", [(0.05, 9.0), (-65.0, 24.0), (0.3,), (-0.2, -0.4), (0.0,)])
def test_an_axis_cuts_nothing_and_is_not_left_half_empty(means: tuple[float, ...]) -> None:
    rows = [contrast(mean, 0.2, (mean - 0.1, mean + 0.5)) for mean in means]
    assert_fits(forest(rows, 0.1), [*(end for row in rows for end in row.ends), -0.1, 0.1])


def test_an_axis_is_compressed_only_where_ends_lie_far_out() -> None:
    assert forest([contrast(0.3, 0.2)], 0.1).get_xscale() == "linear"
    assert forest([contrast(3.0, 0.2)], 0.1).get_xscale() == "asinh"


def test_each_primary_arm_has_a_panel_with_the_margin(make_findings: MakeFindings) -> None:
    figure = drawn(make_findings())["difference"].draw()
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["a mask rate of 5 %", "a mask rate of 30 %"]
    for axes in shown:
        edges = sorted({float(np.asarray(line.get_ydata())[0]) for line in axes.lines if line.get_linestyle() == "--"})
        assert edges == pytest.approx([-0.0893, 0.0893], abs=1e-4)


def test_panels_with_long_names_are_in_two_columns() -> None:
    def named(name: str) -> plots.Panel:
        return plots.Panel(name, "+0.100", [], ([1e5, 1e6], [0.1, 0.1]))

    def across(names: list[str]) -> int:
        figure = plots.bands([named(name) for name in names], plots.span([1.0], 0.1), head=Head(""))
        return len({round(axes.get_position().x0, 3) for axes in figure.axes})

    assert across(["a", "b", "c"]) == 3
    assert across(["a", "b", "the maximum of all the states of the last layer"]) == 2


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
