"""Which figures a sweep has, what they show, and the sentence that says what to see in each.

Enters: a `Sweep`. Leaves: `Drawing`s: file name, alt text, caption and a function that draws (see
`bertlab.report.draw`). A figure without data is left out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from matplotlib.figure import Figure

from bertlab.report import draw
from bertlab.report.draw import Curve, Level
from bertlab.report.run_table import as_number
from bertlab.report.series import curves_of, differences_of, name_of, profiles_of, smooth
from bertlab.report.settings import LOSS, Sweep, final, is_numeric
from bertlab.report.words import escape, number, signed

UNIGRAM = ("eval/unigram_loss", "unigram", "--")
BEST = ("eval/bayes_loss", "best possible", ":")
BEST_PAIRS = ("eval/bayes_pair_accuracy", "best possible", ":")
MEANING = {
    "unigram": "The dashed line is what word frequencies reach without any context.",
    "guessing": "The dashed line, 50 %, is guessing.",
    "best possible": "The dotted level is the best that any model could do.",
}
PER_TOKEN = "on held-out text (nats per predicted token)"
LOG_SPAN = 10  # a factor that spans this ratio gets a logarithmic axis
HEADROOM = 0.35  # how far above the unigram loss the figure reaches, as a share of the fall below it
LATE = 0.3  # differences are scaled to what they are after this share of the tokens


@dataclass(frozen=True)
class Drawing:
    """One figure: file name without ending, what it is, what to see in it (markdown), and how to draw it."""

    name: str
    alt: str
    caption: str
    draw: Callable[[], Figure]


@lru_cache(maxsize=1)  # the page and the files of a report ask one after the other
def drawings(sweep: Sweep) -> tuple[Drawing, ...]:
    """Return the figures for which the sweep has data, in reading order."""
    candidates = (convergence(sweep), gaps(sweep), final_loss(sweep), pairs(sweep), training(sweep))
    return tuple(drawing for drawing in candidates if drawing is not None)


def convergence(sweep: Sweep) -> Drawing | None:
    """Evaluation loss against tokens, with what word frequencies alone reach and, if known, the best possible."""
    curves = curves_of(sweep, LOSS)
    if not curves:
        return None
    levels = _levels(sweep, (UNIGRAM, BEST))
    sentences = ["**MLM convergence.**", _span(curves, number, " nats"), "Lower is better.", *_drawn(sweep)]
    sentences += [MEANING[level.name] for level in levels]
    lowest = min(min(curve.main[1]) for curve in curves)
    unigram = levels[0].y if levels and levels[0].name == "unigram" else math.inf
    top = unigram + max(HEADROOM * (unigram - lowest), 0.1)
    plot = partial(
        draw.convergence, curves, levels, title=f"MLM loss {PER_TOKEN}", legend=_legend(sweep), window=(-math.inf, top)
    )
    return Drawing("mlm_convergence", "Evaluation MLM loss against tokens seen", " ".join(sentences), plot)


def gaps(sweep: Sweep) -> Drawing | None:
    """Difference from the reference at the same number of tokens, seed by seed."""
    curves = differences_of(sweep, LOSS)
    if not curves:
        return None
    end = max(curve.main[0][-1] for curve in curves)
    late = [abs(y) for curve in curves for x, y in zip(*curve.main, strict=True) if x >= LATE * end]
    window = (-1.5 * max(late), 1.5 * max(late))
    plot = partial(
        draw.convergence,
        curves,
        [Level(0.0, "reference")],
        title="MLM loss minus that of the reference after as many tokens (nats)",
        legend=_legend(sweep),
        words=signed,
        window=window,
    )
    faint = (
        " Lines are means over the seeds both have, faint lines single seeds."
        if any(curve.seeds for curve in curves)
        else ""
    )
    caption = f"**Distance from the reference.** Below the dashed line a setting is ahead, above it behind.{faint}"
    return Drawing("mlm_difference", "Evaluation MLM loss minus the reference against tokens seen", caption, plot)


def final_loss(sweep: Sweep) -> Drawing | None:
    """Final loss, a dot per seed: against the numeric factor with most values, else one row per setting."""
    if len(sweep.ranked) < 2:
        return None
    values = [{setting.values[i] for setting in sweep.ranked} for i in range(len(sweep.factors))]
    numeric = [i for i, found in enumerate(values) if is_numeric(found) and len(found) > 1]
    return _against(sweep, max(numeric, key=lambda i: len(values[i]))) if numeric else _rows(sweep)


def pairs(sweep: Sweep) -> Drawing | None:
    """Accuracy of the sentence-pair task against tokens, with the line of guessing and, if known, the best possible."""
    curves = curves_of(sweep, "eval/pair_accuracy", scale=100.0)
    if not curves:
        return None
    words = partial(number, decimals=1)
    levels = [Level(50.0, "guessing"), *_levels(sweep, (BEST_PAIRS,), scale=100.0)]
    title = "Pair accuracy on held-out text (%)"
    plot = partial(draw.convergence, curves, levels, title=title, legend=_legend(sweep), words=words)
    sentences = ["**Pair task.**", _span(curves, words, " %"), "Higher is better.", *_drawn(sweep)]
    sentences += [MEANING[level.name] for level in levels]
    return Drawing("pair_convergence", "Pair accuracy against tokens seen", " ".join(sentences), plot)


def training(sweep: Sweep) -> Drawing | None:
    """Training loss against tokens, kept apart because its height depends on the mask policy."""
    curves = [smooth(curve) for curve in curves_of(sweep, "train/mlm_loss")]
    if not curves:
        return None
    caption = (
        "**Training loss.** Each setting on the masks it trains with. Look for jumps and for curves that stop falling; "
        "heights cannot be compared between mask policies. Averaged over short stretches of log(tokens)."
    )
    title = "Training MLM loss on each setting's own masks (nats per predicted token)"
    plot = partial(draw.convergence, curves, [], title=title, legend=_legend(sweep))
    return Drawing("train_loss", "Training MLM loss against tokens seen", caption, plot)


def _against(sweep: Sweep, position: int) -> Drawing:
    values = {as_number(setting.values[position]): setting.values[position] for setting in sweep.ranked}
    factor = sweep.factors[position]
    plot = partial(
        draw.against,
        profiles_of(sweep, position),
        [] if sweep.reference.counted.empty else [Level(sweep.reference.mean(), "reference")],
        title=f"Final MLM loss {PER_TOKEN}",
        factor=factor,
        legend=", ".join(other for other in sweep.factors if other != factor),
        values=values,
        log=min(values) > 0 and max(values) >= LOG_SPAN * min(values),
    )
    text = (
        f"**Final loss against {escape(factor)}.** {_dots(sweep, 'joined by a thin line where the seed is the same')}"
    )
    return Drawing("final_loss", f"Final MLM loss against {factor}", text, plot)


def _rows(sweep: Sweep) -> Drawing:
    dots = [[float(value) for value in setting.by_seed(LOSS)] for setting in sweep.ranked]
    names = [name_of(sweep, setting) for setting in sweep.ranked]
    title = f"Final MLM loss {PER_TOKEN}"
    plot = partial(draw.rows, names, dots, sweep.reference.mean(), title=title, legend=_legend(sweep))
    text = f"**Final loss of each setting**, lowest first. {_dots(sweep, 'with a bar at their mean')}"
    return Drawing("final_loss", "Final MLM loss of each setting", text, plot)


def _levels(sweep: Sweep, named: Sequence[tuple[str, str, str]], scale: float = 1.0) -> list[Level]:
    means = [(scale * float(final(sweep.counted, metric).mean()), name, dash) for metric, name, dash in named]
    return [Level(mean, name, dash) for mean, name, dash in means if math.isfinite(mean)]


def _legend(sweep: Sweep) -> str:
    return ", ".join(sweep.factors)


def _span(curves: list[Curve], words: Callable[[float], str], unit: str) -> str:
    ends = sorted((curve.main[1][-1], curve.name) for curve in curves)
    (low, first), (high, last) = ends[0], ends[-1]
    if words(low) == words(high):
        return f"The {'curve ends' if len(ends) == 1 else 'curves end'} at {words(low)}{unit}."
    return f"The curves end between {words(low)}{unit} for {escape(first)} and {words(high)}{unit} for {escape(last)}."


def _drawn(sweep: Sweep) -> list[str]:
    many = max(len(setting.by_seed(LOSS)) for setting in sweep.settings) > 1
    sentences = ["Lines are means over seeds, faint lines single seeds."] * many
    sentences += ["The thick line is the reference."] * (len(sweep.settings) > 1)
    return sentences + ["Dotted lines are runs without a result, as far as they got."] * (not sweep.lost.empty)


def _dots(sweep: Sweep, how: str) -> str:
    many = max(len(setting.by_seed(LOSS)) for setting in sweep.ranked) > 1
    seeds = f"One dot per seed, {how}." if many else "One seed per setting, so the spread between seeds is unknown."
    return f"{seeds} The dashed line marks the reference."
