"""Drawings that only a study has: paired differences with their bands, one panel an arm, and the forest of contrasts.

Enters: plain names and numbers. Leaves: matplotlib figures, on the paper of bertlab/report/layout.py. The margin is a
grey zone in both.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bertlab.report.draw import NAMED, Points
from bertlab.report.layout import (
    GREY,
    INK,
    ROW,
    WIDTH,
    bare_axes,
    set_ticks,
    text_width,
    token_ticks,
)

ZONE, EDGE = "#dcdcdc", "#9a9a9a"  # the margin's zone and its ends
ABREAST, PANEL, GAP = 3, 118.0, 34.0  # panels in a row; their height and the room between rows, in points
HEAD, NAME = 46.0, 118.0  # points above the panels; room for a name and a value above one of three
REACH = 8.0  # margins: a contrast that lies further off would squeeze all others
NEAREST = 3.0  # times the contrast that lies nearest to zero
HEADROOM = 1.15
BELOW = 0.3  # rows: the dots of seeds lie below the interval


@dataclass(frozen=True)
class Panel:
    """One arm: paired differences of each seed, their mean, and the ends of the band where there is one."""

    name: str
    value: str
    seeds: Sequence[Points]
    mean: Points
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Contrast:
    """One row of the forest: the interval with its mean, a dot per seed, and words at the right edge."""

    name: str
    mean: float
    low: float
    high: float
    dots: Sequence[float]
    words: tuple[str, str]
    primary: bool


def bands(panels: Sequence[Panel], margin: float, *, title: str, window: float) -> Figure:
    """Draw a panel per arm on the same axes, `window` being the largest height that is shown."""
    across = min(len(panels), _abreast(panels))
    down = math.ceil(len(panels) / across)
    height = HEAD + down * PANEL + (down - 1) * GAP + 42.0
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    figure.text(12 / WIDTH, 1 - 16 / height, title)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=50 / WIDTH,
        right=1 - 22 / WIDTH,
        bottom=42 / height,
        top=1 - HEAD / height,
        wspace=0.16,
        hspace=GAP / PANEL,
    )
    for place, axes in enumerate(grid.flat):
        if place < len(panels):
            _panel(axes, panels[place], margin)
            axes.tick_params(labelbottom=place + across >= len(panels))
        else:
            axes.set_visible(False)
    low, high = _ends([x for panel in panels for x in panel.mean[0]])
    grid[0, 0].set_xscale("log")
    grid[0, 0].set_xlim(low, high)
    grid[0, 0].set_ylim(-window, window)
    for axes in grid.flat:
        set_ticks(axes, token_ticks(low, high))
    figure.text(0.5, 10 / height, "tokens seen (log scale)", ha="center")
    return figure


def _abreast(panels: Sequence[Panel]) -> int:
    """Return how many panels fit beside each other with their names."""
    widest = max(text_width(panel.name) + text_width(panel.value) for panel in panels)
    return ABREAST if widest < NAME else ABREAST - 1


def _panel(axes: Axes, panel: Panel, margin: float) -> None:
    _zone(axes.axhspan, axes.axhline, margin)
    for x, y in panel.seeds:
        axes.plot(x, y, color=NAMED[0], lw=0.6, alpha=0.45)
    if len(panel.low):
        axes.fill_between(panel.mean[0], panel.low, panel.high, color=NAMED[0], alpha=0.22, lw=0)
    axes.plot(*panel.mean, color=NAMED[0], lw=2.0)
    axes.grid(visible=False)
    axes.set_title(panel.name, loc="left", pad=5)
    axes.set_title(panel.value, loc="right", pad=5, color=GREY)


def forest(contrasts: Sequence[Contrast], margin: float, *, title: str, sides: tuple[str, str]) -> Figure:
    """Draw a row per contrast; `sides` are the words for left and right of zero. What lies too far off is an arrow."""
    left = max(text_width(contrast.name) for contrast in contrasts) * 1.05 + 16
    texts = [max(text_width(contrast.words[i]) for contrast in contrasts) for i in (0, 1)]
    axes = bare_axes(left, sum(texts) + 34, 1.7 * ROW * len(contrasts), title, " ")
    _zone(axes.axvspan, axes.axvline, margin)
    reach = _reach(contrasts, margin)
    for row, contrast in enumerate(contrasts):
        _interval(axes, contrast, row, reach)
        for place, words in zip((8, 20 + texts[0]), contrast.words, strict=True):
            axes.annotate(words, (1, row), (place, 0), ("axes fraction", "data"), "offset points", va="center")
    axes.set_xlim(-HEADROOM * reach, HEADROOM * reach)
    axes.set_ylim(len(contrasts) - 0.4, -0.6)
    axes.set_yticks(range(len(contrasts)), [contrast.name for contrast in contrasts], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    for x, align, words in ((0.0, "left", f"← {sides[0]}"), (1.0, "right", f"{sides[1]} →")):
        axes.annotate(words, (x, 1), (0, 8), "axes fraction", "offset points", ha=align, color=GREY)
    axes.set_xlabel("arm minus baseline" + "; grey zone: within the margin" * bool(margin))
    return cast(Figure, axes.get_figure())


def _reach(contrasts: Sequence[Contrast], margin: float) -> float:
    """Return how far from zero the axis goes: to the furthest end, but not much further than is needed.

    Some margins are enough, and some times the contrast that lies nearest to zero, which shall be seen.
    """
    ends = [abs(end) for contrast in contrasts for end in (contrast.low, contrast.high, contrast.mean, *contrast.dots)]
    nearest = min((abs(contrast.mean) for contrast in contrasts if math.isfinite(contrast.mean)), default=0.0)
    enough = max(REACH * margin, NEAREST * nearest) if margin else math.inf
    return min(max([1.5 * margin, *filter(math.isfinite, ends)]), enough)


def _interval(axes: Axes, contrast: Contrast, row: int, reach: float) -> None:
    colour = NAMED[0] if contrast.primary else GREY
    inside = [dot for dot in contrast.dots if abs(dot) <= reach]
    axes.plot(inside, [row + BELOW] * len(inside), "o", color=colour, ms=3, mew=0, alpha=0.5)
    low, high = (float(np.clip(end, -reach, reach)) for end in (contrast.low, contrast.high))
    if low < high:
        axes.plot([low, high], [row, row], color=colour, lw=2.2, solid_capstyle="butt")
    if abs(contrast.mean) <= reach:
        face = colour if contrast.primary else "white"
        axes.plot([contrast.mean], [row], "D", color=colour, mfc=face, ms=5.5, mew=1.4)
    for beyond, marker in ((contrast.low < -reach, "<"), (contrast.high > reach, ">")):
        if beyond:
            axes.plot([-reach if marker == "<" else reach], [row], marker, color=colour, ms=7, mew=0)


def _zone(span: Callable[..., object], line: Callable[..., object], margin: float) -> None:
    span(-margin, margin, color=ZONE, lw=0, zorder=0)
    for end in (-margin, margin):
        line(end, color=EDGE, lw=0.8, ls="--", zorder=0.5)
    line(0, color=INK, lw=0.8, zorder=0.5)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if low < high else (low / 2, high)
