"""Figures: which ones there are, what stands in them, and that nothing outside moves them."""

import dataclasses
import itertools
import re
import subprocess
import sys
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from bertlab.report.draw import NAMED, Curve, against, colours, svg
from bertlab.report.figures import Drawing, drawings
from bertlab.report.layout import ROW, Ink, isotonic, spread, token_text, token_ticks
from bertlab.report.run_table import RunTable, canonical
from bertlab.report.series import curves_of, differences_of, names, profiles_of, smooth
from bertlab.report.settings import Sweep, sweep_of

MakeTable = Callable[..., RunTable]
RATES = {"mask.rate": ["0.05", "0.15", "0.4"]}


def sweep(table: RunTable) -> Sweep:
    return sweep_of(canonical(table))


def drawn(table: RunTable) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in drawings(sweep(table))}


def texts(drawing: Drawing) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg(drawing.draw).decode())


def heights(drawing: Drawing, labels: list[str]) -> list[float]:
    """Return the y of these texts in points, top to bottom as given."""
    found = re.findall(r"<text[^>]*? y=\"([\d.]+)\"[^>]*>([^<]*)</text>", svg(drawing.draw).decode())
    return [next(float(y) for y, text in found if text == label) for label in labels]


def test_a_whole_sweep_has_five_figures(make_table: MakeTable) -> None:
    names = ["mlm_convergence", "mlm_difference", "final_loss", "pair_convergence", "train_loss"]
    assert list(drawn(make_table(RATES))) == names


def test_without_pairs_there_is_no_pair_figure(make_table: MakeTable) -> None:
    assert "pair_convergence" not in drawn(make_table(RATES, pairs=False))


def test_without_curves_only_the_final_loss_is_drawn(make_table: MakeTable) -> None:
    table = make_table(RATES)
    assert list(drawn(dataclasses.replace(table, curves=table.curves.iloc[:0]))) == ["final_loss"]


def test_without_any_result_nothing_is_drawn(make_table: MakeTable) -> None:
    table = make_table(RATES)
    assert drawn(dataclasses.replace(table, runs=table.runs.assign(status="FAILED"))) == {}


def test_what_was_measured_once_has_no_curve(make_table: MakeTable) -> None:
    assert set(drawn(make_table(RATES, evaluations=1))) == {"final_loss"}


def test_curves_that_end_alike_are_said_to_end_alike(make_table: MakeTable) -> None:
    table = make_table(RATES, effect=lambda rate: 1e-5 * float(rate), noise=0.0)
    assert "The curves end at 79." in drawn(table)["pair_convergence"].caption


def test_a_smoothed_curve_keeps_its_mean_and_its_end() -> None:
    x = [1000.0 * (i + 1) for i in range(5000)]
    smoothed = smooth(Curve("", Ink("#000000"), (x, [float(i % 2) for i in range(5000)])))
    assert len(smoothed.main[0]) <= 120
    assert smoothed.main[0][-1] == x[-1]
    assert smoothed.main[1][-1] == pytest.approx(0.5, abs=0.01)


def test_a_single_setting_has_nothing_to_compare(make_table: MakeTable) -> None:
    assert set(drawn(make_table({"mask.rate": ["0.15"]}))) == {"mlm_convergence", "pair_convergence", "train_loss"}


def test_every_setting_is_named_with_its_final_value_in_order(make_table: MakeTable) -> None:
    table = make_table(RATES, effect=float, baseline=["0.15"], noise=0.0)
    convergence = drawn(table)["mlm_convergence"]
    assert {"0.05", "0.15 (reference)", "0.4", "unigram", "6.000"} <= set(texts(convergence))
    top_down = heights(convergence, ["unigram", "0.4", "0.15 (reference)", "0.05"])
    assert all(b - a >= ROW - 0.01 for a, b in itertools.pairwise(top_down))


def test_labels_of_equal_curves_do_not_overlap(make_table: MakeTable) -> None:
    table = make_table({"model.heads": [str(heads) for heads in range(1, 21)]}, seeds=(0,), noise=0.0, evaluations=3)
    shown = drawn(table)["mlm_convergence"]
    found = sorted(heights(shown, [str(heads) for heads in range(2, 21)]))
    assert all(b - a >= ROW - 0.01 for a, b in itertools.pairwise(found))


def test_the_best_possible_loss_is_drawn_when_it_is_known(make_table: MakeTable) -> None:
    table = make_table(RATES)
    known = dataclasses.replace(table, runs=table.runs.assign(**{"metrics.eval/bayes_loss": 2.5}))
    assert {"best possible", "2.500"} <= set(texts(drawn(known)["mlm_convergence"]))
    assert "best possible" not in texts(drawn(table)["mlm_convergence"])


def test_axes_carry_their_units(make_table: MakeTable) -> None:
    figures = drawn(make_table(RATES))
    assert "MLM loss on held-out text (nats per predicted token)" in texts(figures["mlm_convergence"])
    assert "tokens seen (log scale)" in texts(figures["mlm_convergence"])
    assert "Pair accuracy on held-out text (%)" in texts(figures["pair_convergence"])
    assert {"guessing", "50.0"} <= set(texts(figures["pair_convergence"]))
    assert "mask.rate" in texts(figures["final_loss"])


def test_a_factor_over_a_decade_gets_a_logarithmic_axis_and_its_own_spelling(make_table: MakeTable) -> None:
    shown = texts(drawn(make_table({"optimizer.lr": ["1e-4", "3e-4", "1e-3"]}))["final_loss"])
    assert {"optimizer.lr (log scale)", "1e-4", "3e-4", "1e-3"} <= set(shown)


def test_a_named_factor_gets_one_row_per_setting_lowest_first(make_table: MakeTable) -> None:
    table = make_table({"model.norm": ["layer", "none", "rms"]}, effect=lambda norm: 0.5 * len(norm), noise=0.0)
    rows = heights(drawn(table)["final_loss"], ["rms", "none", "layer (reference)"])
    assert rows == sorted(rows)


def test_two_factors_make_one_profile_for_each_value_of_the_other(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.05", "0.15", "0.4"], "model.norm": ["layer", "rms"]}, seeds=(0, 1))
    profiles = profiles_of(sweep(table), 0)
    assert [profile.name for profile in profiles] == ["layer", "rms"]
    assert list(profiles[0].main[0]) == [0.05, 0.15, 0.4]
    assert len(profiles[0].seeds) == 2
    assert {"layer", "rms", "model.norm"} <= set(texts(drawn(table)["final_loss"]))


def test_a_seed_that_a_setting_lacks_leaves_a_gap_in_its_profile(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.05", "0.15", "0.4"]}, seeds=(0, 1))
    table.runs.loc[table.runs["run_id"] == "r01s1", "status"] = "KILLED"
    (profile,) = profiles_of(sweep(table), 0)
    assert [np.isnan(y).tolist() for _, y in profile.seeds] == [[False] * 3, [False, True, False]]
    assert b"nan" not in svg(drawn(table)["final_loss"].draw).lower()


def test_the_mean_curve_is_the_mean_over_seeds(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15"]}, seeds=(0, 1), evaluations=4)
    (curve,) = curves_of(sweep(table), "eval/mlm_loss")
    rows = table.curves[(table.curves["metric"] == "eval/mlm_loss") & (table.curves["tokens"] > 0)]
    assert curve.main[1] == pytest.approx(rows.groupby("step")["value"].mean().tolist())
    assert list(curve.main[0]) == [500_000, 1_000_000, 1_500_000, 2_000_000]


def test_a_run_without_a_result_is_drawn_apart_from_the_mean(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15"]}, seeds=(0, 1))
    table.runs.loc[table.runs["run_id"] == "r00s1", "status"] = "FAILED"
    (curve,) = curves_of(sweep(table), "eval/mlm_loss")
    assert curve.main == curves_of(sweep(_only(table, "r00s0")), "eval/mlm_loss")[0].main
    assert len(curve.broken) == 1


def test_differences_are_taken_at_equal_tokens_even_between_unlike_evaluations(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15", "0.4"]}, seeds=(0,), baseline=["0.15"])
    curves = table.curves[table.curves["metric"] == "eval/mlm_loss"].copy()
    curves["value"] = 7 - curves["tokens"] / 1e6 + 0.5 * (curves["run_id"] == "r01s0")
    other = (curves["run_id"] == "r01s0") & (curves["step"] % 20 != 0)
    (apart,) = differences_of(sweep(dataclasses.replace(table, curves=curves[~other])), "eval/mlm_loss")
    assert list(apart.main[1]) == pytest.approx([0.5] * len(apart.main[1]))
    assert len(apart.main[0]) == 10


def _only(table: RunTable, run_id: str) -> RunTable:
    return RunTable(
        table.runs[table.runs["run_id"] == run_id], table.curves[table.curves["run_id"] == run_id], table.facts
    )


def test_spread_moves_labels_as_little_as_possible() -> None:
    assert spread([0.0, 0.5, 1.0], 0.1, 0.0, 1.0) == pytest.approx([0.0, 0.5, 1.0])
    assert spread([0.5, 0.5], 0.2, 0.0, 1.0) == pytest.approx([0.4, 0.6])
    assert spread([0.0, 0.0, 0.0], 0.2, 0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4])
    assert spread([1.0, 1.0], 0.2, 0.0, 1.0) == pytest.approx([0.8, 1.0])


@pytest.mark.parametrize("n", [1, 2, 3, 11, 47])
def test_isotonic_regression_is_that_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.1 * np.arange(n), 1.0)
    assert isotonic(values) == pytest.approx(isotonic_regression(values).x, rel=1e-12, abs=1e-12)
    assert isotonic(np.sort(values)) == pytest.approx(np.sort(values), rel=1e-12, abs=1e-12)


def test_spread_keeps_the_gap_and_the_order_for_any_heights() -> None:
    rng = np.random.default_rng(8)
    for _ in range(200):
        n = int(rng.integers(1, 13))
        placed = spread(sorted(rng.uniform(0, 1, n)), 1 / 13, 0.0, 1.0)
        assert min(placed) >= -1e-9
        assert max(placed) <= 1 + 1e-9
        assert all(b - a >= 1 / 13 - 1e-9 for a, b in itertools.pairwise(placed))


def test_token_ticks_are_round_numbers_and_the_end() -> None:
    assert [text for _, text in token_ticks(1e5, 2.25e6)] == ["100 k", "200 k", "500 k", "1 M", "2.25 M"]
    assert [text for _, text in token_ticks(1e3, 1e9)] == ["1 k", "10 k", "100 k", "1 M", "10 M", "100 M", "1 B"]
    assert [token_text(n) for n in (1, 999, 1000, 999_999, 1.3e9)] == ["1", "999", "1 k", "1 M", "1.3 B"]


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_the_values_of_a_factor_are_its_ticks_however_small_they_are(scale: float) -> None:
    doses = [scale, 2 * scale, 4 * scale, 8 * scale]
    series = [Curve("only", Ink(NAMED[0]), (doses, [4.0, 3.0, 2.0, 1.0]))]
    values = {dose: f"{dose:g}" for dose in doses}
    (axes,) = against(series, [], title="", factor="", legend="", values=values, log=False).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == list(values.values())


def test_long_names_stay_apart_when_they_are_cut() -> None:
    keys = [(f"a very long policy that needs many words, number {i}",) for i in range(12)]
    assert [names(keys)[key] for key in keys[9:]] == ["…9", "…10", "…11"]
    (cut,) = names([("x" * 50,)]).values()
    assert len(cut) <= 30
    assert "…" in cut


def test_colours_are_distinct_and_dark_enough_on_white() -> None:
    for ordered, n in ((True, 12), (False, len(NAMED))):
        palette = colours(n, ordered=ordered)
        assert len(set(palette)) == n
        assert min(_contrast_with_white(colour) for colour in palette) > 2


def _contrast_with_white(colour: str) -> float:
    """Return the WCAG 2.1 contrast ratio of a colour and white."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 1.05 / (0.05 + 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])


def test_a_figure_carries_no_date_and_is_the_same_every_time(make_table: MakeTable) -> None:
    table = make_table(RATES, seeds=(0, 1))
    first, second = (svg(drawn(table)["mlm_convergence"].draw) for _ in range(2))
    assert first == second
    assert b"dc:date" not in first


def test_the_readers_own_style_neither_changes_a_figure_nor_is_changed(make_table: MakeTable) -> None:
    drawing = drawn(make_table(RATES))["final_loss"]
    plain = svg(drawing.draw)
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "svg.fonttype": "path", "font.size": 30}):
        before = dict(mpl.rcParams)
        assert svg(drawing.draw) == plain
        assert dict(mpl.rcParams) == before


def test_odd_characters_in_a_name_are_drawn_as_they_are(make_table: MakeTable) -> None:
    shown = texts(drawn(make_table({"model.norm": ["$x$ & <y>", "层"]}, seeds=(0,)))["mlm_convergence"])
    assert "$x$ &amp; &lt;y&gt; (reference)" in shown
    assert "层" in shown


def test_a_report_needs_no_training_library_and_no_pyplot() -> None:
    banned = "{'torch', 'mlflow', 'hydra', 'pytorch_lightning', 'matplotlib.pyplot'}"
    code = f"import sys, bertlab.report.write; sys.exit(' '.join({banned} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
