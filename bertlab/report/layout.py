"""Layout of a figure: axes in points, ticks, and names at the right edge instead of a legend.

Enters: sizes in points and names with ink. Leaves: axes of known size with room for labels, which never overlap.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

Floats = npt.NDArray[np.float64]

POINT = 72.0  # points per inch
WIDTH = 525.0  # points: 700 CSS pixels
SIZE = 9.5  # points
BOLDER, SPACE = 1.13, 3.1  # relative width of bold text; points between words
ROW = 14.0  # points between labels
LEADER = (2.0, 14.0, 28.0, 34.0)  # points right of the axes: leader from, to; line sample to; name from
LEFT, TOP, HEAD, BOTTOM = 50.0, 30.0, 14.0, 42.0  # points around the axes
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LINES = 3  # most lines of a title
MOST = (99, 3, 2, 1)  # numbers of names in a list of a title, tried until the title fits
WIDE = math.log(1000)  # so long an axis of ln multipliers has only powers of ten
FINE = (0.5, 2.0, 0.25, 4.0, 0.05, 20.0, 0.67, 1.5, 0.8, 1.25, 0.9, 1.1, 0.33, 3.0)  # its other ticks, in order
NAME = 132.0  # width in points of a name at the right edge, before it is wrapped
INK, GREY, FAINT = "#222222", "#6b6b6b", "#e4e4e4"


@dataclass(frozen=True)
class Head:
    """The head of a figure: the finding in plain words, and below it what is drawn, with unit."""

    finding: str
    about: str = ""


@dataclass(frozen=True)
class Ink:
    """The drawing style of one setting."""

    colour: str
    dash: str = "-"
    bold: bool = False

    @property
    def width(self) -> float:
        """Width of the line in points."""
        return 2.4 if self.bold else 1.5


@dataclass(frozen=True)
class Label:
    """A name and its value at the right edge, near the height `y` of its curve."""

    y: float
    name: str
    value: str
    ink: Ink


def axes_for(labels: Sequence[Label], legend: str, *, head: Head, below: str, bottom: float = BOTTOM) -> Axes:
    """Make a figure whose right margin fits the labels, tall enough for all of them, and return its axes."""
    names = max((widest(wrapped(label.name, NAME), bold=label.ink.bold) for label in labels), default=0.0)
    values = max((text_width(label.value, bold=label.ink.bold) for label in labels), default=0.0)
    right = LEADER[-1] + max(names + 10 + values, text_width(legend)) + 10 if labels else 16.0
    axes = bare_axes(LEFT, right, max(230.0, _gap(labels) * (len(labels) + 1)), head, legend, bottom)
    axes.set_xlabel(below)
    return axes


def bare_axes(left: float, right: float, height: float, head: Head, legend: str, bottom: float = BOTTOM) -> Axes:
    """Make a figure of the standard width around axes of this height: head on top, then room for a legend's head.

    All sizes are in points.
    """
    top = head_height(head)
    whole = top + height + bottom + (HEAD if legend else 0.0)
    figure = Figure(figsize=(WIDTH / POINT, whole / POINT))
    write_head(figure, head, whole)
    return figure.add_axes((left / WIDTH, bottom / whole, 1 - (left + right) / WIDTH, height / whole))


def head_height(head: Head) -> float:
    """Return the height of a head in points, with some space below it."""
    return TOP - ROW + ROW * (len(title_lines(head.finding)) + len(wrapped(head.about, WIDTH - 24)))


def write_head(figure: Figure, head: Head, whole: float) -> None:
    """Write the head on a figure that is `whole` points tall."""
    y = 16.0
    bold: dict[str, Any] = {"weight": "bold"}
    grey: dict[str, Any] = {"color": GREY}
    for lines, style in ((title_lines(head.finding), bold), (wrapped(head.about, WIDTH - 24), grey)):
        for line in lines:
            figure.text(12 / WIDTH, 1 - y / whole, line, **style)
            y += ROW


def title_lines(finding: str) -> list[str]:
    """Return the bold lines of a figure's finding."""
    return wrapped(finding, (WIDTH - 40) / BOLDER)


def fitted(titles: Iterable[str]) -> str:
    """Return the first of some titles with at most `LINES` lines, else the shortest."""
    seen: list[str] = []
    for title in titles:
        if len(title_lines(title)) <= LINES:
            return title
        seen.append(title)
    return min(seen, key=len)


def _gap(labels: Sequence[Label]) -> float:
    """Return the points between labels: enough for the longest."""
    return ROW + (ROW - 3) * max((len(wrapped(label.name, NAME)) - 1 for label in labels), default=0)


def write_labels(axes: Axes, labels: Sequence[Label], legend: str) -> None:
    """Write the labels right of the axes, ordered by height, each with a leader; set the limits before."""
    if not labels:
        return
    low, high = axes.get_ylim()
    width, height = _extent(axes)
    start, bend, end, name = (1 + x / width for x in LEADER)
    edge = 1 + (WIDTH * (1 - axes.get_position().x1) - 8) / width
    ends = sorted(labels, key=lambda label: label.y)
    heights = [min(max((label.y - low) / (high - low), 0.0), 1.0) for label in ends]
    half = (_gap(labels) - ROW) / 2 / height  # half of the extra height of a wrapped name
    for label, y, place in zip(ends, heights, spread(heights, _gap(labels) / height, half, 1 - half), strict=True):
        line: dict[str, Any] = {"color": label.ink.colour, "transform": axes.transAxes, "clip_on": False}
        axes.plot([start, bend], [y, place], lw=0.7, **line)
        axes.plot([bend, end], [place, place], lw=label.ink.width, ls=label.ink.dash, **line)
        text: dict[str, Any] = {"weight": "bold" if label.ink.bold else "normal", "va": "center"}
        lines = wrapped(label.name, NAME)
        tight: dict[str, Any] = {"linespacing": 1.1} if len(lines) > 1 else {}
        axes.text(name, place, "\n".join(lines), transform=axes.transAxes, **text, **tight)
        axes.text(edge, place, label.value, transform=axes.transAxes, ha="right", **text)
    axes.text(name, 1 + 12 / height, legend, color=GREY, transform=axes.transAxes)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending positions as little as possible (least squares) until they are `gap` apart and within [low, high].

    x_i - i * gap must not descend: isotonic regression, then clipping to the room left.
    """
    steps = gap * np.arange(len(wanted))
    shifted = isotonic(np.asarray(wanted, dtype=np.float64) - steps)
    return [float(x) for x in np.clip(shifted, low, max(high - steps[-1], low)) + steps]


def isotonic(values: Floats) -> Floats:
    """Return the non-descending sequence nearest to the values (least squares).

    x_k = max over i <= k of min over j >= k of the mean of values i to j (Robertson, Wright, Dykstra 1988).
    scipy.optimize has it too, but its import takes half a second of every report.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    i, j = np.ogrid[: len(values), : len(values)]
    means = np.where(i <= j, (sums[j + 1] - sums[i]) / np.maximum(j - i + 1, 1), np.inf)
    lowest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
    nearest: Floats = np.where(i <= j, lowest, -np.inf).max(axis=0)
    return nearest


def set_ticks(axes: Axes, ticks: Iterable[tuple[float, str]], *, upright: bool = False) -> None:
    """Put these ticks on the x axis, or the y axis if `upright`; ticks too close to earlier ones are left out."""
    # reading limits fits them to the data; reading the transform would not
    low = axes.get_xlim()[0], axes.get_ylim()[0]
    to_axes = axes.transData + axes.transAxes.inverted()
    size = _extent(axes)[int(upright)]
    kept: list[tuple[float, str, float, float]] = []
    for at, text in ticks:
        point = (low[0], at) if upright else (at, low[1])
        centre = float(to_axes.transform(point)[int(upright)]) * size
        half = SIZE / 2 + 1 if upright else max(map(text_width, text.splitlines())) / 2 + 3
        if all(abs(centre - other) >= half + reach for _, _, other, reach in kept):
            kept.append((at, text, centre, half))
    kept.sort()
    axis = axes.yaxis if upright else axes.xaxis
    axis.set_major_locator(FixedLocator([at for at, *_ in kept]))
    axis.set_major_formatter(FixedFormatter([text for _, text, *_ in kept]))
    axis.set_minor_locator(NullLocator())


def token_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return the ticks of a token axis: 1, 2, 5 times powers of ten (only powers over three decades), and its end."""
    leads = (1, 2, 5) if high < 1000 * low else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    room = (high / low) ** 0.1  # keep a tenth of the axis free before the end
    ticks = [lead * 10.0**power for power in powers for lead in leads]
    return [(tick, token_text(tick)) for tick in ticks if 0.999 * low <= tick < high / room] + [
        (high, token_text(high))
    ]


def times_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return possible ticks of an axis of ln multipliers, the most important first: powers of ten from 1 outwards."""
    furthest = math.ceil(max(-low, high, 0.0) / math.log(10))
    powers = [10.0 ** (side * power) for power in range(1, furthest + 1) for side in (-1, 1)]
    wanted = (1.0, *powers, *(FINE if high - low < WIDE else ()))
    return [(math.log(tick), _times(tick)) for tick in wanted if low <= math.log(tick) <= high]


def _times(tick: float) -> str:
    """Write a multiple: ×0.25, ×100, and powers of ten beyond 1000: ×10⁻⁵."""
    power = round(math.log10(tick))
    return f"×{tick:g}" if abs(power) <= 3 else f"×10{str(power).translate(RAISED)}"


def token_text(tokens: float) -> str:
    """Write a count of tokens or FLOPs short: 500, 20 k, 2.25 M, 1.3 B, 1.76 T."""
    for unit, name in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if tokens >= 0.9995 * unit:
            return f"{tokens / unit:.3g}{name}"
    return f"{tokens:.3g}"


def wrapped(text: str, width: float) -> list[str]:
    """Break a text into lines of at most `width` points, at spaces and inside too long words."""
    lines: list[str] = []
    for word in (piece for long in text.split() for piece in _pieces(long, width)):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and sum(map(text_width, longer.split())) + longer.count(" ") * SPACE <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _pieces(word: str, width: float) -> list[str]:
    """Cut a word that is too long for a line into pieces of equal length."""
    size = math.ceil(len(word) / max(math.ceil(text_width(word) / width), 1))
    return [word[start : start + size] for start in range(0, len(word), size)]


def widest(lines: Sequence[str], *, bold: bool = False) -> float:
    """Return the width in points of the longest of some lines."""
    return max((text_width(line, bold=bold) for line in lines), default=0.0)


@cache
def text_width(text: str, *, bold: bool = False) -> float:
    """Return the width of a text in points; bold letters are about an eighth wider."""
    if not text.strip():
        return 0.0
    # points of the outline are enough: its exact extent costs ten times as much
    return float(np.ptp(np.asarray(TextPath((0, 0), text, size=SIZE).vertices)[:, 0])) * (BOLDER if bold else 1.0)


def _extent(axes: Axes) -> tuple[float, float]:
    box = axes.get_window_extent()
    scale = axes.get_position().width * WIDTH / box.width  # points per pixel
    return box.width * scale, box.height * scale
