"""Drawing of figures: curves over log(tokens), and final losses with one dot per seed.

Enters: plain names, numbers and inks. Leaves: matplotlib figures, and the bytes of SVG and PDF. 700 px wide. Colours
follow Okabe and Ito (2008) for names and plasma for numbers: safe for colour-blind readers, with contrast of at least
3:1 on white. For dark pages one rule inverts the picture. Text stays text in the SVG, which also describes itself in
words. Equal input gives equal bytes.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape as xml
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from bertlab.report.layout import (
    FAINT,
    GREY,
    INK,
    SIZE,
    Head,
    Ink,
    Label,
    axes_for,
    set_ticks,
    token_ticks,
    write_labels,
)
from bertlab.report.words import number

Points = tuple[Sequence[float], Sequence[float]]  # x and y of the same length

NAMED = ("#0072B2", "#D55E00", "#00805C", "#B5568C", "#9A7000", "#2785B8", "#000000")  # Okabe's light ones darkened
DASHES = ("-", "--", "-.", ":")
PALEST = 0.55  # the rest of the plasma scale is too light on white
SEED = 0.85  # opacity of single seeds, which are behind the mean: 3:1 for every colour of theirs
DARK = "svg{filter:invert(.9) hue-rotate(180deg)}"  # inverted lightness, unchanged hues
STYLE: dict[Any, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bertlab",
    "pdf.fonttype": 42,  # text as text, as journals require
    "font.size": SIZE,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": SIZE,
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True)
class Curve:
    """One arm: its main curve, and those of its seeds."""

    name: str
    ink: Ink
    main: Points
    seeds: Sequence[Points] = ()


@dataclass(frozen=True)
class Level:
    """A horizontal reference line."""

    y: float
    name: str
    dash: str = "--"


def svg(draw: Callable[[], Figure], title: str = "", desc: str = "") -> bytes:
    """Draw and return the SVG; the bytes do not depend on the user's matplotlib style.

    `title` and `desc` describe it for screen readers.
    """
    text = _saved(draw, "svg", {"Date": None}).decode()
    said = "".join(f"<{tag}>{xml(words, quote=False)}</{tag}>" for tag, words in (("title", title), ("desc", desc)))
    style = f"<style>@media (prefers-color-scheme: dark){{{DARK}}}</style>"
    return re.sub(r"<svg ([^>]*)>", lambda tag: f'<svg role="img" {tag[1]}>\n {said}{style}', text, count=1).encode()


def pdf(draw: Callable[[], Figure]) -> bytes:
    """Draw and return a PDF with embedded fonts; equal input gives equal bytes."""
    return _saved(draw, "pdf", {"CreationDate": None, "Producer": None, "Creator": None})


def _saved(draw: Callable[[], Figure], kind: str, metadata: dict[str, None]) -> bytes:
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the viewer's fonts draw the text, not ours
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        buffer = io.BytesIO()
        draw().savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def colours(n: int, *, ordered: bool) -> list[str]:
    """Return `n` colours: a scale from dark to light for ordered values, else distinct ones, repeating after 7."""
    scale = mpl.colormaps["plasma"]
    return [to_hex(scale(PALEST * i / max(n - 1, 1))) if ordered else NAMED[i % len(NAMED)] for i in range(n)]


def convergence(
    curves: Sequence[Curve],
    levels: Sequence[Level],
    *,
    head: Head,
    legend: str,
    words: Callable[[float], str] = number,
    window: tuple[float, float] = (-math.inf, math.inf),
) -> Figure:
    """Draw curves over log(tokens), from where they enter the `window` of values, so that the end stays readable."""
    labels = [Label(curve.main[1][-1], curve.name, words(curve.main[1][-1]), curve.ink) for curve in curves]
    axes = _frame(labels, levels, head, "tokens seen (log scale)", legend, words)
    for curve in sorted(curves, key=lambda curve: curve.ink.bold):  # the baseline is on top
        for x, y in curve.seeds:
            axes.plot(x, y, color=curve.ink.colour, lw=0.6, alpha=SEED)
        few = "o" if len(curve.main[0]) < 12 else ""
        axes.plot(*curve.main, color=curve.ink.colour, ls=curve.ink.dash, lw=curve.ink.width, marker=few, ms=3)
    points = [point for curve in curves for points in (curve.main, *curve.seeds) for point in zip(*points, strict=True)]
    seen = [(x, y) for x, y in points if window[0] <= y <= window[1]] or points
    low, high = min(seen)[0], max(seen)[0]
    axes.set_xscale("log")
    axes.set_xlim(low if low < high else low / 2, high)
    set_ticks(axes, token_ticks(*axes.get_xlim()))
    _set_heights(axes, [y for _, y in seen], levels)
    write_labels(axes, [*labels, *_named(levels, words)], legend)
    return cast(Figure, axes.get_figure())


def against(
    series: Sequence[Curve],
    levels: Sequence[Level],
    *,
    head: Head,
    factor: str,
    legend: str,
    values: Mapping[float, str],
    log: bool,
    fit: Curve | None = None,
) -> Figure:
    """Draw final values against a numeric factor: one dot per seed, lines between equal seeds; means are thick.

    `fit` is a dashed line through them.
    """
    labels = [Label(one.main[1][-1], one.name, "", one.ink) for one in series if len(series) > 1 or fit]
    labels += [Label(fit.main[1][-1], fit.name, "", fit.ink)] if fit else []
    axes = _frame(labels, levels, head, f"{factor}{' (log scale)' if log else ''}", legend, number)
    for one in series:
        for x, y in one.seeds:
            axes.plot(x, y, color=one.ink.colour, lw=0.5, alpha=SEED, marker="o", ms=3.2, mew=0)
        axes.plot(*one.main, color=one.ink.colour, ls=one.ink.dash, lw=1.8, marker="o", ms=5, mfc="white", mew=1.5)
    if fit:
        axes.plot(*fit.main, color=fit.ink.colour, ls=fit.ink.dash, lw=fit.ink.width)
    axes.margins(x=0.05)
    axes.set_xscale("log" if log else "linear")
    set_ticks(axes, sorted(values.items()))
    _set_heights(axes, [y for one in series for _, ys in (one.main, *one.seeds) for y in ys], levels)
    write_labels(axes, [*labels, *_named(levels, number)], legend)
    return cast(Figure, axes.get_figure())


def _frame(
    labels: Sequence[Label], levels: Sequence[Level], head: Head, below: str, legend: str, words: Callable[[float], str]
) -> Axes:
    axes = axes_for([*labels, *_named(levels, words)], legend, head=head, below=below)
    for level in levels:
        axes.axhline(level.y, color=GREY, lw=1, ls=level.dash)
    return axes


def _named(levels: Sequence[Level], words: Callable[[float], str]) -> list[Label]:
    return [Label(level.y, level.name, words(level.y), Ink(GREY, level.dash)) for level in levels]


def _set_heights(axes: Axes, ys: Sequence[float], levels: Sequence[Level]) -> None:
    heights = [*ys, *(level.y for level in levels)]
    low, high = float(np.nanmin(heights)), float(np.nanmax(heights))  # NaN at missing seeds
    margin = 0.05 * (high - low) or 0.05
    axes.set_ylim(low - margin, high + margin)
