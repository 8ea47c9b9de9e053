"""Which figures a study has, and the sentence that says what to see in each.

Enters: `Findings`. Leaves: `Drawing`s (see bertlab/report/figures.py). A figure without data is left out.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import pandas as pd

from bertlab.report import draw
from bertlab.report.draw import DASHES, NAMED, Curve, Level, Points, colours
from bertlab.report.figures import BEST, BEST_PAIRS, HEADROOM, LATE, LOG_SPAN, MEANING, UNIGRAM, Drawing
from bertlab.report.layout import Ink, names
from bertlab.report.study import plots
from bertlab.report.study.contrasts import NOT_REGISTERED, compared, in_order
from bertlab.report.study.curves import LOSS, band_of, curve_metrics, curve_of, distance
from bertlab.report.study.onset import parts_figure
from bertlab.report.study.scale import Scale, outcome_scale, scale_of
from bertlab.report.study.search import by_arm
from bertlab.report.study.seeds import finished
from bertlab.report.study.trend import dose_table
from bertlab.report.words import count, escape, number, signed
from bertlab.stats.band import Band
from bertlab.study.judge import Findings, Judged
from bertlab.study.outcome import OUTCOMES, curve_name
from bertlab.study.search import trial

PAIRS = "eval/pair_accuracy"
LEVELS = {LOSS: (UNIGRAM, BEST), PAIRS: (BEST_PAIRS,)}  # reference lines of a metric: metric, name, dash
FOLLOWED = dict.fromkeys(curve_name(name) for name, known in OUTCOMES.items() if known.curve)
MORE_CURVES = {name: f"{name.removeprefix('eval/')}_convergence" for name in FOLLOWED}
READ_AT_THE_END = " The verdict is read at the end of the run, from an interval of its own level."
FIGURES = ("forest", "convergence", *MORE_CURVES.values(), "difference", "onset", "trend", "search")


@lru_cache(maxsize=1)  # the page and the files of a report ask one after the other
def drawings(findings: Findings) -> list[Drawing]:
    """Return the figures for which the study has data, in reading order."""
    first, *others = [*curve_metrics(findings), ""]
    candidates = [forest(findings), convergence(findings, first, "convergence")]
    candidates += [convergence(findings, metric, MORE_CURVES[metric]) for metric in others if metric]
    candidates += [gaps(findings), parts_figure(findings), doses(findings), trials(findings)]
    return [drawing for drawing in candidates if drawing is not None]


def figures(findings: Findings) -> str:
    """Every figure with the sentence that says what to see."""
    own = findings.study.name
    shown = [f"![{escape(d.alt)}]({own}/figures/{d.name}.svg)\n\n{d.caption}" for d in drawings(findings)]
    return "\n\n".join(["## Figures", *shown]) if shown else ""


def forest(findings: Findings) -> Drawing | None:
    """Every contrast with its decision interval, against the margin."""
    named, scale = _compared(findings), outcome_scale(findings)
    rows = [_row(findings, judged, named[judged.arm]) for judged in in_order(findings) if judged.contrast.n]
    if not rows:
        return None
    sides = ("better", "worse") if findings.outcome.lower_is_better else ("worse", "better")
    title = f"{findings.study.outcome}: arm minus baseline ({scale.apart})"
    plot = partial(plots.forest, rows, scale.factor * findings.margin, title=title, sides=sides)
    caption = (
        "**Contrasts.** Diamond: mean of the paired differences. Bar: "
        f"{'a 90 % interval' if findings.study.explores else 'the interval that the verdict is read from'}. "
        "Faint dots below it: single seeds."
    )
    caption += " Grey zone: differences smaller than the margin." * bool(findings.margin)
    if findings.primary and len(findings.primary) < len(findings.arms):
        caption += f" Grey and hollow: {NOT_REGISTERED} arms."
    if any(max(abs(row.low), abs(row.high)) > _far(scale.factor * findings.margin) for row in rows):
        caption += " An arrow marks what lies outside of the picture."
    alt = "Paired differences with intervals" + " and the margin" * bool(findings.margin)
    return Drawing("forest", alt, caption, plot)


def convergence(findings: Findings, metric: str, name: str) -> Drawing | None:
    """A metric against tokens: every seed, the mean of each arm, and what is known of the best and the least."""
    curves = [curve for arm in _arms(findings) if (curve := _curve(findings, arm, metric))] if metric else []
    if not curves:
        return None
    scale, levels = scale_of(metric), _levels(findings, metric)
    lowest = min(min(curve.main[1]) for curve in curves)
    unigram = next((level.y for level in levels if level.name == "unigram"), math.inf)
    top = unigram + max(HEADROOM * (unigram - lowest), 0.1)
    words: Callable[[float], str] = partial(number, decimals=scale.decimals)
    plot = partial(
        draw.convergence,
        curves,
        levels,
        title=f"{metric} on held-out text ({scale.unit})",
        legend="arm",
        words=words,
        window=(-math.inf, top),
    )
    sentences = [f"**Convergence, {escape(metric)}.** Thick lines are means over seeds, thin lines single seeds;"]
    sentences += [f"the boldest is the baseline, {escape(findings.study.baseline)}."]
    sentences += [MEANING[level.name] for level in levels]
    sentences += ["Arms that were followed to different looks have means over different seeds."] * _uneven(findings)
    return Drawing(name, f"{metric} against tokens seen", " ".join(sentences), plot)


def gaps(findings: Findings) -> Drawing | None:
    """Paired difference at the same number of tokens for every primary arm, with its simultaneous band."""
    metric, scale, named = findings.study.outcome, outcome_scale(findings), _compared(findings)
    apart = {arm: distance(findings, arm, metric) for arm in findings.primary or findings.arms}
    apart = {arm: scale.factor * table for arm, table in apart.items() if table.shape[1] > 1 and len(table)}
    if not apart:
        return None
    found = {arm: band_of(findings, arm, table) for arm, table in apart.items()}
    panels = [_panel(named[arm], table, found[arm], scale) for arm, table in apart.items()]
    margin = scale.factor * findings.margin
    late = [_late(panel) for panel in panels]
    window = max(2 * margin, min(max(late), max(min(late), _far(margin))))
    title = f"{metric}: arm minus baseline after as many tokens ({scale.apart})"
    plot = partial(plots.bands, panels, margin, title=title, window=window)
    side = "below" if findings.outcome.lower_is_better else "above"
    said = f"{'Grey zone: within the margin' if margin else 'Line: no difference'}; {side} zero the arm is ahead."
    caption = (
        "**Distance from the baseline.** Thin lines: paired differences of single seeds. Thick: their mean, with a 90 "
        f"% band that holds at all evaluations at once. {said}"
    )
    caption += READ_AT_THE_END * (not findings.study.explores)
    if max(late) > window:
        caption += " What lies further off than the axis goes is cut."
    return Drawing("difference", "Paired difference from the baseline against tokens seen", caption, plot)


def doses(findings: Findings) -> Drawing | None:
    """The outcome against the registered factor, a line per seed."""
    trend = findings.study.trend
    if trend is None or dose_table(findings).empty:
        return None
    scale = outcome_scale(findings)
    table = scale.factor * dose_table(findings)
    seeds = [_points(row) for _, row in table.iterrows()] if len(table) > 1 else []
    series = [Curve("mean over seeds", Ink(NAMED[0]), _points(table.mean()), seeds)]
    low, high = min(table.columns), max(table.columns)
    plot = partial(
        draw.against,
        series,
        [],
        title=f"{findings.study.outcome} at the end of the run ({scale.unit})",
        factor=trend.factor,
        legend="",
        values={dose: f"{dose:g}" for dose in sorted(trend.doses.values())},
        log=trend.scale == "log" and high >= LOG_SPAN * low,
    )
    caption = f"**Along {escape(trend.factor)}.** One thin line per seed, the thick one their mean."
    return Drawing("trend", f"{findings.study.outcome} against {trend.factor}", caption, plot)


def trials(findings: Findings) -> Drawing | None:
    """What every arm reached at every value of the search."""
    study, scale = findings.record.registered, outcome_scale(findings)
    if study.search is None:
        return None
    series, tried = [], by_arm(findings)
    for arm, ink in _unlike([*study.arms], study.baseline).items():
        found = {value: finished(findings, trial(arm, value), study.outcome) for value in tried[arm]}
        table = scale.factor * pd.DataFrame(found).dropna(axis="columns")  # without values at which a trial diverged
        if not table.empty:
            seeds = [_points(row) for _, row in table.iterrows()]
            series.append(Curve(names([(each,) for each in study.arms])[(arm,)], ink, _points(table.mean()), seeds))
    values = sorted({value for own in tried.values() for value in own})
    plot = partial(
        draw.against,
        series,
        [],
        title=f"{study.outcome} at the end of the trials ({scale.unit})",
        factor=study.search.setting,
        legend="arm",
        values={value: f"{value:g}" for value in values},
        log=min(values) > 0,
    )
    best = "lowest" if findings.outcome.lower_is_better else "highest"
    caption = (
        f"**Search.** Thick lines are means over the {count(study.search.seeds)} seeds of the search, dots single "
        f"trials. An arm's own {escape(study.search.setting)} is where its thick line is {best}."
    )
    return Drawing("search", f"{study.outcome} of every trial against {study.search.setting}", caption, plot)


def _far(margin: float) -> float:
    """Return how far from zero what lies further off would squeeze the rest; nothing does where there is no margin."""
    return plots.REACH * margin or math.inf


def _row(findings: Findings, judged: Judged, name: str) -> plots.Contrast:
    scale, interval = outcome_scale(findings), judged.interval
    mean, low, high = (scale.factor * value for value in (interval.mean, interval.low, interval.high))
    dots = [scale.factor * difference for difference in judged.contrast.differences]
    said = judged.verdict.words if judged.expects else "" if findings.study.explores else NOT_REGISTERED
    primary = judged.expects is not None or findings.study.explores
    return plots.Contrast(name, mean, low, high, dots, (scale.signed(interval.mean), said), primary)


def _curve(findings: Findings, arm: str, metric: str) -> Curve | None:
    table = scale_of(metric).factor * curve_of(findings, arm, metric)
    if table.shape[1] < 2 or table.empty:
        return None
    seeds = [_points(row) for _, row in table.iterrows()] if len(table) > 1 else []
    return Curve(_names(findings)[arm], _inks(findings)[arm], _points(table.mean()), seeds)


def _panel(name: str, table: pd.DataFrame, band: Band | None, scale: Scale) -> plots.Panel:
    mean = table.mean()
    end = signed(float(mean.iloc[-1]), scale.decimals)
    seeds = [_points(row) for _, row in table.iterrows()]
    ends = (band.low, band.high) if band else ((), ())
    return plots.Panel(name, end, seeds, _points(mean), *ends)


def _late(panel: plots.Panel) -> float:
    """Return the largest height that is needed once the start of the run, where all curves fall fast, is over."""
    x, y = panel.mean
    late = [i for i, tokens in enumerate(x) if tokens >= LATE * x[-1]]
    seeds = [abs(values[i]) for _, values in panel.seeds for i in late]
    edges = [abs(edge[i]) for edge in (panel.low, panel.high) if len(edge) for i in late]
    return 1.1 * max([abs(y[-1]), *(edges or seeds)])


def _levels(findings: Findings, metric: str) -> list[Level]:
    scale, runs = scale_of(metric), findings.record.arm(findings.study.baseline)
    found = [
        (scale.factor * float(runs[known].mean()), name, dash)
        for known, name, dash in LEVELS.get(metric, ())
        if known in runs
    ]
    levels = [Level(y, name, dash) for y, name, dash in found if math.isfinite(y)]
    return [Level(50.0, "guessing"), *levels] if metric == PAIRS else levels


def _arms(findings: Findings) -> list[str]:
    return [findings.study.baseline, *(judged.arm for judged in in_order(findings))]


def _uneven(findings: Findings) -> bool:
    return len({len(findings.record.arm(arm)) for arm in _arms(findings)}) > 1


def _names(findings: Findings) -> dict[str, str]:
    """Return the arms as figures name them: long names are cut."""
    arms = _arms(findings)
    short = names([(arm,) for arm in arms])
    return {arm: short[(arm,)] + (" (baseline)" if arm == findings.study.baseline else "") for arm in arms}


def _compared(findings: Findings) -> dict[str, str]:
    """Return the arms as figures of differences name them: with what they are compared with, if not the baseline."""
    return {arm: name + compared(findings, arm) for arm, name in _names(findings).items()}


def _inks(findings: Findings) -> dict[str, Ink]:
    """Return a colour per arm: a scale along the registered factor, else unlike ones; the baseline bold."""
    study, arms = findings.study, _arms(findings)
    doses = study.trend.doses if study.trend else {}
    ordered = set(arms) == set(doses)
    arms = sorted(arms, key=lambda arm: doses[arm]) if ordered else arms
    if not ordered:
        return _unlike(arms, study.baseline)
    return {
        arm: Ink(colour, bold=arm == study.baseline)
        for arm, colour in zip(arms, colours(len(arms), ordered=True), strict=True)
    }


def _unlike(arms: Sequence[str], baseline: str) -> dict[str, Ink]:
    """Return a colour per arm, unlike each other; where they repeat, dashes tell them apart."""
    return {
        arm: Ink(colour, DASHES[place // len(NAMED) % len(DASHES)], arm == baseline)
        for place, (arm, colour) in enumerate(zip(arms, colours(len(arms), ordered=False), strict=True))
    }


def _points(values: "pd.Series[float]") -> Points:
    return [float(x) for x in values.index], [float(y) for y in values]
