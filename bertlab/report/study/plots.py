"""Drawings of studies: paired differences with their bands, one panel per arm, and the forest of contrasts.

Enters: plain names and numbers. Leaves: matplotlib figures with the layout of bertlab/report/layout.py. The margin is a
grey zone in both.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bertlab.report.draw import NAMED, SEED, Points
from bertlab.report.layout import (
    GREY,
    INK,
    ROW,
    WIDTH,
    Head,
    bare_axes,
    head_height,
    set_ticks,
    text_width,
    token_ticks,
    widest,
    wrapped,
    write_head,
)
from bertlab.report.study.marks import Mark

ZONE, EDGE = "#ececec", "#858585"  # the margin's zone and its ends
ABREAST, PANEL, GAP = 3, 118.0, 24.0  # panels in a row; their height and the room between rows, in points
NAME = 118.0  # width in points of a name and a value above one of three panels
NAMES = 150.0  # width in points of a name left of the forest, before it is wrapped
FAR = 8.0  # margins; beyond this distance from zero an axis of differences is compressed
ROOM = 0.06  # share of the axis that stays free at each end
STYLES = ("normal", "bold")  # of the two lines of words
LINE = ROW - 3  # points from line to line of a name
BELOW = 0.3  # position of the seeds' dots below the interval, in rows


@dataclass(frozen=True)
class Panel:
    """One arm: paired differences of each seed, their mean, and the ends of the band if there is one."""

    name: str
    value: str
    seeds: Sequence[Points]
    mean: Points
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class ForestRow:
    """One row of the forest: the interval with its mean, a dot per seed, and two lines of words at the right edge."""

    name: str
    mean: float
    low: float
    high: float
    dots: Sequence[float]
    words: tuple[str, str]
    mark: Mark

    @property
    def ends(self) -> list[float]:
        """All values that are drawn."""
        return [value for value in (self.low, self.high, self.mean, *self.dots) if math.isfinite(value)]


@dataclass(frozen=True)
class Span:
    """An axis of differences from `low` to `high`; compressed far beyond the margin."""

    low: float
    high: float
    margin: float
    compressed: bool

    def ticks(self) -> list[tuple[float, str]]:
        """Return possible ticks, the most important first."""
        if self.compressed:
            powers = range(math.floor(math.log10(self.margin)), math.ceil(math.log10(max(-self.low, self.high))) + 1)
            sizes = [lead * 10.0**power for power in powers for lead in (1, 2, 5) if lead * 10.0**power >= self.margin]
            wanted = [0.0, *(side * size for size in sizes for side in (1, -1))]
        else:
            wanted = [round(float(tick), 9) for tick in MaxNLocator(5).tick_values(self.low, self.high)]
        kept = [tick for tick in wanted if self.low <= tick <= self.high]
        return [(tick, f"{tick:+g}".replace("-", "−") if tick else "0") for tick in kept]


def span(values: Iterable[float], margin: float) -> Span:
    """Return an axis with all values and the whole margin, and little room at its ends."""
    ends = [-margin, margin, *values]
    compressed = 0 < FAR * margin < max(map(abs, ends))
    low, high = (math.asinh(end / margin) if compressed else end for end in (min(ends), max(ends)))
    room = ROOM * (high - low) or 1.0
    low, high = (margin * math.sinh(end) if compressed else end for end in (low - room, high + room))
    return Span(low, high, margin, compressed)


def bands(panels: Sequence[Panel], axis: Span, *, head: Head) -> Figure:
    """Draw a panel per arm on the same axes."""
    across = min(len(panels), _abreast(panels))
    down = math.ceil(len(panels) / across)
    each = (WIDTH - 72) / across - 12
    lines = max(len(_fitted(panel, each)) for panel in panels)
    above, gap = head_height(head) + LINE * lines, GAP + LINE * (lines - 1)
    height = above + down * PANEL + (down - 1) * gap + 42.0
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    write_head(figure, head, height)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=50 / WIDTH,
        right=1 - 22 / WIDTH,
        bottom=42 / height,
        top=1 - above / height,
        wspace=0.16,
        hspace=gap / PANEL,
    )
    low, high = _ends([x for panel in panels for x in panel.mean[0]])
    grid[0, 0].set_xscale("log")
    grid[0, 0].set_xlim(low, high)
    if axis.compressed:
        grid[0, 0].set_yscale("asinh", linear_width=axis.margin)
    grid[0, 0].set_ylim(axis.low, axis.high)
    for place, axes in enumerate(grid.flat):
        if place < len(panels):
            _panel(axes, panels[place], axis.margin, _fitted(panels[place], each))
            axes.tick_params(labelbottom=place + across >= len(panels))
        else:
            axes.set_visible(False)
    for axes in grid.flat:
        set_ticks(axes, token_ticks(low, high))
    set_ticks(grid[0, 0], axis.ticks(), upright=True)
    figure.text(0.5, 10 / height, "tokens seen (log scale)", ha="center")
    return figure


def _fitted(panel: Panel, width: float) -> list[str]:
    """Return a panel's name, wrapped to fit next to its value."""
    return wrapped(panel.name, width - text_width(panel.value) - 8)


def _abreast(panels: Sequence[Panel]) -> int:
    """Return how many panels fit next to each other with their names."""
    longest = max(text_width(panel.name) + text_width(panel.value) for panel in panels)
    return ABREAST if longest < 1.8 * NAME else ABREAST - 1


def _panel(axes: Axes, panel: Panel, margin: float, name: Sequence[str]) -> None:
    _zone(axes.axhspan, axes.axhline, margin)
    for x, y in panel.seeds:
        axes.plot(x, y, color=NAMED[0], lw=0.6, alpha=SEED)
    if len(panel.low):
        axes.fill_between(panel.mean[0], panel.low, panel.high, color=NAMED[0], alpha=0.22, lw=0)
    axes.plot(*panel.mean, color=NAMED[0], lw=2.0)
    axes.grid(visible=False)
    axes.set_title("\n".join(name), loc="left", pad=5, linespacing=1.1)
    axes.set_title(panel.value, loc="right", pad=5, color=GREY)


def forest(contrasts: Sequence[ForestRow], margin: float, *, head: Head, sides: tuple[str, str], size: str) -> Figure:
    """Draw one row per contrast; `sides`: words left and right of zero; `size`: the margin in words."""
    names = [wrapped(contrast.name, NAMES) for contrast in contrasts]
    left = max(map(widest, names)) + 20
    right = max(text_width(words, bold=True) for contrast in contrasts for words in contrast.words) + 22
    tall = LINE * max(2, *map(len, names)) + 8
    axes = bare_axes(left, right, tall * len(contrasts), head, " ")
    axis = span((end for contrast in contrasts for end in contrast.ends), margin)
    _zone(axes.axvspan, axes.axvline, margin)
    if axis.compressed:
        axes.set_xscale("asinh", linear_width=margin)
    axes.set_xlim(axis.low, axis.high)
    for row, contrast in enumerate(contrasts):
        _interval(axes, contrast, row)
        for words, up, style in zip(contrast.words, (6, -6) if contrast.words[1] else (0, 0), STYLES, strict=True):
            ink = contrast.mark.colour if style == "bold" else INK
            place = ((1, row), (10, up), ("axes fraction", "data"), "offset points")
            axes.annotate(words, *place, va="center", weight=style, color=ink)
    axes.set_ylim(len(contrasts) - 0.4, -0.6)
    axes.set_yticks(range(len(contrasts)), ["\n".join(lines) for lines in names], color=INK, linespacing=1.1)
    axes.tick_params(axis="y", length=0)
    set_ticks(axes, axis.ticks())
    axes.grid(visible=False)
    for x, align, words in ((0.0, "left", f"← {sides[0]}"), (1.0, "right", f"{sides[1]} →")):
        axes.annotate(words, (x, 1), (0, 8), "axes fraction", "offset points", ha=align, color=GREY)
    grey = f"grey: less than {size} either way" if margin else "arm minus baseline"
    axes.set_xlabel(f"{grey}{'; compressed beyond' if axis.compressed else ''}")
    return cast(Figure, axes.get_figure())


def _interval(axes: Axes, contrast: ForestRow, row: int) -> None:
    mark = contrast.mark
    axes.plot(contrast.dots, [row + BELOW] * len(contrast.dots), "o", color=mark.colour, ms=3, mew=0, alpha=SEED)
    if contrast.low < contrast.high:
        axes.plot([contrast.low, contrast.high], [row, row], color=mark.colour, lw=2.2, solid_capstyle="butt")
    face = "white" if mark.hollow else mark.colour
    axes.plot([contrast.mean], [row], mark.shape, color=mark.colour, mfc=face, ms=6.5, mew=1.4)


def _zone(span: Callable[..., object], line: Callable[..., object], margin: float) -> None:
    span(-margin, margin, color=ZONE, lw=0, zorder=0)
    for end in (-margin, margin) if margin else ():
        line(end, color=EDGE, lw=0.8, ls="--", zorder=0.5)
    line(0, color=INK, lw=0.8, zorder=0.5)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if low < high else (low / 2, high)
