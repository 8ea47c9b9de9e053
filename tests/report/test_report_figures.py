"""Figures: which exist, their content, and that nothing outside changes them."""

import itertools
import re
import subprocess
import sys
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from bertlab.report.draw import DARK, NAMED, SEED, Curve, against, colours, svg
from bertlab.report.figures import Drawing
from bertlab.report.layout import (
    GREY,
    INK,
    ROW,
    Floats,
    Head,
    Ink,
    fitted,
    isotonic,
    spread,
    text_width,
    times_ticks,
    title_lines,
    token_text,
    token_ticks,
    wrapped,
)
from bertlab.report.study.appearance import PLAIN
from bertlab.report.study.figures import drawings
from bertlab.report.study.marks import BETTER, OPEN, SAME, WORSE
from bertlab.report.study.plots import EDGE, ZONE
from tests.report.conftest import Runs

MakeTable = Callable[..., Runs]
RATES = {"mask.rate": ["0.05", "0.15", "0.4"]}


def drawn(table: Runs) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in drawings(table.findings)}


def texts(drawing: Drawing) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg(drawing.draw).decode())


def heights(drawing: Drawing, labels: list[str]) -> list[float]:
    """Return the y of these texts in points, top to bottom as given."""
    found = re.findall(r"<text[^>]*? y=\"([\d.]+)\"[^>]*>([^<]*)</text>", svg(drawing.draw).decode())
    return [next(float(y) for y, text in found if text == label) for label in labels]


def test_every_setting_is_named_with_its_final_value_in_order(make_table: MakeTable) -> None:
    table = make_table(RATES, effect=float, baseline=["0.15"], noise=0.0)
    convergence = drawn(table)["convergence"]
    assert {"mask.rate=0.05", "mask.rate=0.15 (baseline)", "mask.rate=0.4", "unigram", "6.000"} <= set(
        texts(convergence)
    )
    top_down = heights(convergence, ["unigram", "mask.rate=0.4", "mask.rate=0.15 (baseline)", "mask.rate=0.05"])
    assert all(b - a >= ROW - 0.01 for a, b in itertools.pairwise(top_down))


def test_labels_of_equal_curves_do_not_overlap(make_table: MakeTable) -> None:
    table = make_table({"model.heads": [str(heads) for heads in range(1, 21)]}, seeds=(0,), noise=0.0, evaluations=3)
    shown = drawn(table)["convergence"]
    found = sorted(heights(shown, [f"model.heads={heads}" for heads in range(2, 21)]))
    assert all(b - a >= ROW - 0.01 for a, b in itertools.pairwise(found))


def test_the_best_possible_loss_is_drawn_when_it_is_known(make_table: MakeTable) -> None:
    table = make_table(RATES)
    known = table._replace(runs=table.runs.assign(**{"metrics.eval/bayes_loss": 2.5}))
    assert {"best possible", "2.500"} <= set(texts(drawn(known)["convergence"]))
    assert "best possible" not in texts(drawn(table)["convergence"])


def test_axes_carry_their_units(make_table: MakeTable) -> None:
    figures = drawn(make_table(RATES))
    assert "Loss on held-out tokens behind [MASK] (nats; ↓ better)" in texts(figures["convergence"])
    assert "tokens seen (log scale)" in texts(figures["convergence"])
    pairs = texts(figures["pair_accuracy_convergence"])
    assert "Held-out pairs of segments told apart (%; ↑ better)" in pairs
    assert {"guessing", "50.0"} <= set(pairs)
    assert "mask rate (share of the tokens)" in texts(figures["trend"])


def test_a_factor_over_a_decade_gets_a_logarithmic_axis(make_table: MakeTable) -> None:
    shown = texts(drawn(make_table({"optimizer.lr": ["1e-4", "3e-4", "1e-3"]}))["trend"])
    assert {"learning rate (log scale)", "0.0001", "0.0003", "0.001"} <= set(shown)


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
    (axes,) = against(series, [], head=Head(""), factor="", legend="", values=values, log=False).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == list(values.values())


def test_ticks_of_multiples_cover_an_axis_however_long_it_is() -> None:
    for low, high in ((-0.4, 0.3), (-1.6, 1.6), (-13.0, 5.0), (-40.0, 0.0), (0.0, 3.0)):
        ticks = [at for at, _ in times_ticks(low, high)]
        assert ticks[0] == 0.0
        for end in (low, high):
            assert min(abs(end - at) for at in ticks) < max(0.1 * (high - low), np.log(10))
    assert dict(times_ticks(-13.0, 5.0)).items() >= {np.log(1e-5): "×10⁻⁵", np.log(1e-3): "×0.001", 0.0: "×1"}.items()
    assert {text for _, text in times_ticks(-1.6, 1.6)} >= {"×0.25", "×0.5", "×1", "×2", "×4"}


def test_a_title_is_as_long_as_three_lines_allow() -> None:
    long = "word " * 60
    assert fitted(iter([long, "short enough.", "shorter."])) == "short enough."
    assert fitted([long, long[:-5]]) == long[:-5]
    assert len(title_lines("short enough.")) == 1


def test_long_names_go_on_below() -> None:
    assert wrapped("a mask rate of 15 % (baseline)", 132) == ["a mask rate of 15 %", "(baseline)"]
    assert "".join(wrapped("x" * 90, 132)) == "x" * 90
    assert max(map(text_width, wrapped("x" * 90, 132))) <= 132


WHITE, MARKS = "#ffffff", (BETTER, WORSE, SAME, OPEN)


def test_colours_are_distinct_and_stand_out_on_light_and_dark_paper() -> None:
    """WCAG 2.1 asks for 3:1 of what is drawn (1.4.11) and 4.5:1 of text (1.4.3)."""
    for ordered, n in ((True, 12), (False, len(NAMED))):
        palette = colours(n, ordered=ordered)
        assert len(set(palette)) == n
        assert min(_least_contrast(colour, WHITE) for colour in palette) >= 3
        assert ordered or min(_least_contrast(colour, ZONE) for colour in palette) >= 3
    assert min(_least_contrast(colour, WHITE) for colour in (PLAIN, EDGE)) >= 3
    assert min(_least_contrast(mark.colour, WHITE) for mark in MARKS) >= 4.5  # its words too
    assert min(_least_contrast(colour, WHITE) for colour in (INK, GREY)) >= 4.5


def test_single_seeds_stand_out_on_light_and_dark_paper() -> None:
    arms = [*colours(12, ordered=True), *NAMED, PLAIN]
    assert min(_least_contrast(colour, WHITE, SEED) for colour in arms) >= 3
    assert min(_least_contrast(mark.colour, paper, SEED) for mark in MARKS for paper in (WHITE, ZONE)) >= 3


def _least_contrast(colour: str, paper: str, opacity: float = 1.0) -> float:
    """Return the contrast ratio of a colour on paper: the smaller one of a light and a dark page."""
    seen = opacity * _rgb(colour) + (1 - opacity) * _rgb(paper)
    pairs = [(seen, _rgb(paper)), (_dark(seen), _dark(_rgb(paper)))]
    lights = [sorted(map(_luminance, pair)) for pair in pairs]
    return min((light + 0.05) / (dark + 0.05) for dark, light in lights)


def _rgb(colour: str) -> Floats:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _luminance(rgb: Floats) -> float:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _dark(rgb: Floats) -> Floats:
    """Return a colour as on dark pages: inverted by nine tenths, hue rotated by half (Filter Effects 1)."""
    assert DARK == "svg{filter:invert(.9) hue-rotate(180deg)}"
    grey = np.array([0.213, 0.715, 0.072])
    return np.clip((2 * np.outer(np.ones(3), grey) - np.eye(3)) @ (0.9 - 0.8 * rgb), 0, 1)


def test_a_figure_carries_no_date_and_is_the_same_every_time(make_table: MakeTable) -> None:
    table = make_table(RATES, seeds=(0, 1))
    first, second = (svg(drawn(table)["convergence"].draw) for _ in range(2))
    assert first == second
    assert b"dc:date" not in first


def test_the_readers_own_style_neither_changes_a_figure_nor_is_changed(make_table: MakeTable) -> None:
    drawing = drawn(make_table(RATES))["trend"]
    plain = svg(drawing.draw)
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "svg.fonttype": "path", "font.size": 30}):
        before = dict(mpl.rcParams)
        assert svg(drawing.draw) == plain
        assert dict(mpl.rcParams) == before


def test_odd_characters_in_a_name_are_drawn_as_they_are(make_table: MakeTable) -> None:
    shown = texts(drawn(make_table({"model.norm": ["$x$ & <y>", "层"]}, seeds=(0,)))["convergence"])
    assert any(text.startswith("model.norm=$x$ &amp; &lt;y&gt;") for text in shown)
    assert "model.norm=层" in shown


@pytest.mark.slow
def test_a_report_needs_no_training_library_and_no_pyplot() -> None:
    banned = "{'torch', 'mlflow', 'pytorch_lightning', 'matplotlib.pyplot'}"
    code = f"import sys, bertlab.report.study.write; sys.exit(' '.join({banned} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
