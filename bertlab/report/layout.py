"""The paper a figure is drawn on: its axes in points, its ticks, and names at the right edge instead of a legend.

Enters: sizes in points and names in ink. Leaves: axes of known size with room for the labels, which never overlap.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from bertlab.report.words import DASH

Floats = npt.NDArray[np.float64]

POINT = 72.0  # points per inch
WIDTH = 525.0  # points: 700 CSS pixels
SIZE = 9.5  # points
ROW = 14.0  # points from label to label
LEADER = (2.0, 14.0, 28.0, 34.0)  # points right of the axes: leader from, to; line sample to; name from
LEFT, TOP, HEAD, BOTTOM = 50.0, 30.0, 14.0, 42.0  # points around the axes
LONGEST = 30  # characters of a name in a figure
INK, GREY, FAINT = "#222222", "#6b6b6b", "#e4e4e4"


@dataclass(frozen=True)
class Ink:
    """How one setting is drawn."""

    colour: str
    dash: str = "-"
    bold: bool = False

    @property
    def width(self) -> float:
        """Width of the line in points."""
        return 2.4 if self.bold else 1.5


@dataclass(frozen=True)
class Label:
    """A name and its value at the right edge, pulled towards the height `y` of what it names."""

    y: float
    name: str
    value: str
    ink: Ink


def axes_for(labels: Sequence[Label], legend: str, *, title: str, below: str) -> Axes:
    """Make a figure whose right margin fits the labels, tall enough for all of them, and return its axes."""
    names = max((text_width(label.name, bold=label.ink.bold) for label in labels), default=0.0)
    values = max((text_width(label.value, bold=label.ink.bold) for label in labels), default=0.0)
    right = LEADER[-1] + max(names + 10 + values, text_width(legend)) + 10 if labels else 16.0
    axes = bare_axes(LEFT, right, max(230.0, ROW * (len(labels) + 1)), title, legend)
    axes.set_xlabel(below)
    return axes


def bare_axes(left: float, right: float, height: float, title: str, legend: str) -> Axes:
    """Make a figure of the standard width around axes of this height: title on top, then room for a legend's head.

    All sizes are in points.
    """
    whole = TOP + height + BOTTOM + (HEAD if legend else 0.0)
    figure = Figure(figsize=(WIDTH / POINT, whole / POINT))
    figure.text(12 / WIDTH, 1 - 16 / whole, title)
    return figure.add_axes((left / WIDTH, BOTTOM / whole, 1 - (left + right) / WIDTH, height / whole))


def write_labels(axes: Axes, labels: Sequence[Label], legend: str) -> None:
    """Write the labels right of the axes in the order of their heights, each with a leader; set the limits first."""
    if not labels:
        return
    low, high = axes.get_ylim()
    width, height = _extent(axes)
    start, bend, end, name = (1 + x / width for x in LEADER)
    edge = 1 + (WIDTH * (1 - axes.get_position().x1) - 8) / width
    ends = sorted(labels, key=lambda label: label.y)
    heights = [min(max((label.y - low) / (high - low), 0.0), 1.0) for label in ends]
    for label, y, place in zip(ends, heights, spread(heights, ROW / height, 0.0, 1.0), strict=True):
        line: dict[str, Any] = {"color": label.ink.colour, "transform": axes.transAxes, "clip_on": False}
        axes.plot([start, bend], [y, place], lw=0.7, **line)
        axes.plot([bend, end], [place, place], lw=label.ink.width, ls=label.ink.dash, **line)
        text: dict[str, Any] = {"weight": "bold" if label.ink.bold else "normal", "va": "center"}
        axes.text(name, place, label.name, transform=axes.transAxes, **text)
        axes.text(edge, place, label.value, transform=axes.transAxes, ha="right", **text)
    axes.text(name, 1 + 12 / height, legend, color=GREY, transform=axes.transAxes)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending positions as little as possible (least squares) until `gap` apart and within [low, high].

    x_i - i * gap must not descend: isotonic regression, then clipping to the room left.
    """
    steps = gap * np.arange(len(wanted))
    shifted = isotonic(np.asarray(wanted, dtype=np.float64) - steps)
    return [float(x) for x in np.clip(shifted, low, max(high - steps[-1], low)) + steps]


def isotonic(values: Floats) -> Floats:
    """Return the sequence that never descends and lies nearest to the values (least squares).

    x_k = max over i <= k of min over j >= k of the mean of values i to j (Robertson, Wright, Dykstra 1988).
    scipy.optimize has it too; to import that took half a second of every report.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    i, j = np.ogrid[: len(values), : len(values)]
    means = np.where(i <= j, (sums[j + 1] - sums[i]) / np.maximum(j - i + 1, 1), np.inf)
    lowest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
    nearest: Floats = np.where(i <= j, lowest, -np.inf).max(axis=0)
    return nearest


def set_ticks(axes: Axes, ticks: Iterable[tuple[float, str]]) -> None:
    """Put these ticks on the x axis, leaving out those whose text has no room beside the last one kept."""
    axes.get_xlim()  # matplotlib fits an axis to its data when it is asked for; the transform would be that before
    to_axes = axes.transData + axes.transAxes.inverted()
    kept: list[tuple[float, str]] = []
    free = -math.inf
    for x, text in ticks:
        centre, half = float(to_axes.transform((x, 0.0))[0]) * _extent(axes)[0], text_width(text) / 2 + 3
        if centre - half >= free:
            kept.append((x, text))
            free = centre + half
    axes.xaxis.set_major_locator(FixedLocator([x for x, _ in kept]))
    axes.xaxis.set_major_formatter(FixedFormatter([text for _, text in kept]))
    axes.xaxis.set_minor_locator(NullLocator())


def token_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return the ticks of a token axis: 1, 2, 5 times powers of ten (powers only over three decades), and its end."""
    leads = (1, 2, 5) if high < 1000 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    room = (high / low) ** 0.1  # a tenth of the axis stays free before the end
    ticks = [lead * 10.0**power for power in powers for lead in leads]
    return [(tick, token_text(tick)) for tick in ticks if 0.999 * low <= tick < high / room] + [
        (high, token_text(high))
    ]


def token_text(tokens: float) -> str:
    """Write a count of tokens or FLOPs short: 500, 20 k, 2.25 M, 1.3 B, 1.76 T."""
    for unit, name in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if tokens >= 0.9995 * unit:
            return f"{tokens / unit:.3g}{name}"
    return f"{tokens:.3g}"


def names(keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Join each key's values to one line beside a figure; long names lose what all begin with, then their middle."""
    whole = [" ".join(", ".join(value or DASH for value in key).split()) for key in keys]
    alike = [len(set(letters)) == 1 for letters in zip(*whole, strict=False)]
    start = (*alike, False).index(False) if len(whole) > 1 and max(map(len, whole)) > LONGEST else 0
    cut = [f"…{name[start:]}" if start > 1 else name for name in whole]
    return dict(zip(keys, map(_middle_cut, cut), strict=True))


def _middle_cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[1 - LONGEST // 2 :]}"


def text_width(text: str, *, bold: bool = False) -> float:
    """Return the width of a text in points; bold letters are about an eighth wider."""
    if not text.strip():
        return 0.0
    # the outline's points are enough: its exact extent costs ten times as much
    return float(np.ptp(np.asarray(TextPath((0, 0), text, size=SIZE).vertices)[:, 0])) * (1.13 if bold else 1.0)


def _extent(axes: Axes) -> tuple[float, float]:
    box = axes.get_window_extent()
    scale = axes.get_position().width * WIDTH / box.width  # points per pixel
    return box.width * scale, box.height * scale
