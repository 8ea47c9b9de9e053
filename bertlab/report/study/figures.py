"""The figures of a study and their captions.

Enters: `Findings`. Leaves: `Drawing`s (see bertlab/report/figures.py). A figure without data is left out.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial

import pandas as pd

from bertlab.evaluation.measures import PREFIX
from bertlab.report import draw
from bertlab.report.draw import NAMED, Curve, Level, Points
from bertlab.report.figures import BEST, BEST_PAIRS, HEADROOM, LATE, LOG_SPAN, MEANING, UNIGRAM, Drawing
from bertlab.report.layout import Head, Ink
from bertlab.report.settings import setting_of
from bertlab.report.study import headings, plots
from bertlab.report.study.appearance import MANY, arms_shown, compared_names, distinct_inks, inks_of, lit, names_of
from bertlab.report.study.contrasts import NOT_REGISTERED, in_order
from bertlab.report.study.curves import LOSS, band_of, curve_metrics, curve_of, distance
from bertlab.report.study.headings import best_first
from bertlab.report.study.marks import EXPLORED, legend, mark_of
from bertlab.report.study.onset import parts_figure
from bertlab.report.study.scale import Scale, outcome_scale, scale_of
from bertlab.report.study.search import by_arm
from bertlab.report.study.seeds import finished
from bertlab.report.study.trend import dose_table, parabola
from bertlab.report.words import DASH, count, escape, number, signed
from bertlab.stats.band import Band
from bertlab.study.judge import Findings, Judged
from bertlab.study.labels import label
from bertlab.study.outcome import OUTCOMES, curve_name, outcome_of
from bertlab.study.search import trial

PAIRS = "eval/pair_accuracy"
LEVELS = {LOSS: (UNIGRAM, BEST), PAIRS: (BEST_PAIRS,)}  # reference lines of a metric: metric, name, dash
FOLLOWED = dict.fromkeys(curve_name(PREFIX + each.name) for each in OUTCOMES if each.curve)
MORE_CURVES = {name: f"{name.removeprefix(PREFIX)}_convergence" for name in FOLLOWED}
READ_AT_THE_END = " The verdict is read at the end of the run, from an interval of its own level."
FIGURES = ("forest", "convergence", *MORE_CURVES.values(), "difference", "onset", "trend", "search")


@lru_cache(maxsize=1)  # both the page and the files of a report need it
def drawings(findings: Findings) -> list[Drawing]:
    """Return the figures that have data, in reading order."""
    first, *others = [*curve_metrics(findings), ""]
    candidates = [forest(findings), convergence(findings, first, "convergence")]
    candidates += [convergence(findings, metric, MORE_CURVES[metric]) for metric in others if metric]
    candidates += [gaps(findings), parts_figure(findings), doses(findings), trials(findings)]
    return [drawing for drawing in candidates if drawing is not None]


def figures(findings: Findings) -> str:
    """Return every figure with its caption."""
    own = findings.study.name
    shown = [f"![{escape(d.finding)}]({own}/figures/{d.name}.svg)\n\n{d.caption}" for d in drawings(findings)]
    return "\n\n".join(["## Figures", *shown]) if shown else ""


def forest(findings: Findings) -> Drawing | None:
    """Every contrast with its decision interval, against the margin."""
    scale, margin = outcome_scale(findings), findings.margin
    shown = [judged for judged in in_order(findings) if judged.contrast.n]
    rows = [_row(findings, judged) for judged in shown]
    if not rows:
        return None
    sides = ("better", "worse") if findings.outcome.lower_is_better else ("worse", "better")
    about = f"{_about(findings.study.outcome)}: arm minus {label(findings.study, findings.study.baseline)}"
    head = Head(headings.found(findings), f"{about} ({scale.apart})")
    size = f"the margin, {number(scale.factor * margin, scale.decimals)}"
    plot = partial(plots.forest, rows, scale.factor * margin, head=head, sides=sides, size=size)
    caption = (
        f"**Contrasts.** {legend(row.mark for row in rows)} A mark stands at the mean of the paired differences, its "
        f"bar is {'a 90 % interval' if findings.study.explores else 'the interval that the verdict is read from'}, "
        "small dots below it are single seeds."
    )
    caption += " Grey zone: differences smaller than the margin." * bool(margin)
    if plots.span((end for row in rows for end in row.ends), scale.factor * margin).compressed:
        caption += " The axis is compressed beyond the margin, so that every interval is seen."
    told = " ".join(f"{row.name}: {', '.join(filter(None, row.words))}." for row in rows)
    return Drawing("forest", head.finding, caption, plot, told)


def convergence(findings: Findings, metric: str, name: str) -> Drawing | None:
    """A metric against tokens: every seed, the mean of each arm, and known best and lowest levels."""
    found = {arm: curve for arm in arms_shown(findings) if (curve := _curve(findings, arm, metric))} if metric else {}
    if not found:
        return None
    scale, levels = scale_of(metric), _levels(findings, metric)
    means = {arm: curve.main[1][-1] for arm, curve in found.items()}
    curves = list(lit(findings, best_first(metric, means)[0], found).values())
    lowest = min(min(curve.main[1]) for curve in curves)
    unigram = next((level.y for level in levels if level.name == "unigram"), math.inf)
    top = unigram + max(HEADROOM * (unigram - lowest), 0.1)
    words: Callable[[float], str] = partial(number, decimals=scale.decimals)
    finding = headings.ends(findings, metric, means, scale)
    better = "↓ better" if outcome_of(metric).lower_is_better else "↑ better"
    plot = partial(
        draw.convergence,
        curves,
        levels,
        head=Head(finding, f"{_about(metric)} ({scale.unit}; {better})"),
        legend="arm",
        words=words,
        window=(-math.inf, top),
    )
    sentences = [f"**Convergence: {escape(outcome_of(metric).words)}.**"]
    sentences += ["Thick lines are means over seeds, thin lines single seeds;"]
    sentences += [f"the boldest is the baseline, {escape(findings.study.baseline)}."]
    sentences += ["Of so many arms, only the baseline and the best are coloured."] * (len(curves) > MANY)
    sentences += [MEANING[level.name] for level in levels]
    sentences += ["Arms that were followed to different looks have means over different seeds."] * _uneven(findings)
    told = "At the end: " + "; ".join(f"{curve.name} {words(curve.main[1][-1])}" for curve in curves) + "."
    return Drawing(name, finding, " ".join(sentences), plot, told)


def gaps(findings: Findings) -> Drawing | None:
    """Paired difference at the same number of tokens for every primary arm, with its simultaneous band."""
    metric, scale, named = findings.study.outcome, outcome_scale(findings), compared_names(findings)
    apart = {arm: distance(findings, arm, metric) for arm in findings.primary or findings.arms}
    apart = {arm: scale.factor * table for arm, table in apart.items() if table.shape[1] > 1 and len(table)}
    if not apart:
        return None
    found = {arm: band_of(findings, arm, table) for arm, table in apart.items()}
    panels = [_panel(named[arm], table, found[arm], scale) for arm, table in apart.items()]
    margin = scale.factor * findings.margin
    lower = findings.outcome.lower_is_better
    last = [panel.mean[1][-1] for panel in panels]
    finding = headings.apart([value if lower else -value for value in last], margin)
    better = "↓ better" if lower else "↑ better"
    about = f"{_about(metric)}: arm minus baseline after as many tokens ({scale.apart}; {better})"
    axis = plots.span((value for panel in panels for value in _late(panel)), margin)
    plot = partial(plots.bands, panels, axis, head=Head(finding, about))
    said = f"{'Grey zone: within the margin' if margin else 'Line: no difference'}; {'below' if lower else 'above'}"
    caption = (
        "**Distance from the baseline.** Thin lines: paired differences of single seeds. Thick: their mean, with a 90 "
        f"% band that holds at all evaluations at once. {said} zero the arm is ahead."
    )
    caption += READ_AT_THE_END * (not findings.study.explores)
    caption += f" What lies further off early in training, before {100 * LATE:.0f} % of the tokens, is cut."
    if axis.compressed:
        caption += " The axis is compressed beyond the margin."
    told = "At the end: " + "; ".join(f"{panel.name} {panel.value}" for panel in panels) + "."
    return Drawing("difference", finding, caption, plot, told)


def doses(findings: Findings) -> Drawing | None:
    """The outcome against the registered factor: one line per seed, their mean and its parabola."""
    trend = findings.study.trend
    if trend is None or dose_table(findings).empty:
        return None
    scale, table = outcome_scale(findings), dose_table(findings)
    finding, setting = headings.best_dose(findings, table), setting_of(trend.factor)
    table = scale.factor * table
    seeds = [_points(row) for _, row in table.iterrows()] if len(table) > 1 else []
    series = [Curve("mean over seeds", Ink(NAMED[0]), _points(table.mean()), seeds)]
    line = parabola(findings, table)
    low, high = min(table.columns), max(table.columns)
    better = "↓ better" if findings.outcome.lower_is_better else "↑ better"
    about = f"{_about(findings.study.outcome)}, at the end of the run ({scale.unit}; {better})"
    plot = partial(
        draw.against,
        series,
        [],
        head=Head(finding, about),
        factor=setting.axis,
        legend="",
        values={dose: f"{dose:g}" for dose in sorted(trend.doses.values())},
        log=trend.scale == "log" and high >= LOG_SPAN * low,
        fit=Curve("fitted parabola", Ink(NAMED[1], "--"), line) if len(line[0]) else None,
    )
    caption = f"**Along the {escape(setting.words)}.** One thin line per seed, the thick one their mean"
    caption += "; dashed: the parabola that is fitted to it." if len(line[0]) else "."
    told = "Means: " + "; ".join(f"{dose:g} {number(mean, scale.decimals)}" for dose, mean in table.mean().items())
    return Drawing("trend", finding, caption, plot, f"{told}.")


def trials(findings: Findings) -> Drawing | None:
    """The result of every arm at every value of the search."""
    study, scale = findings.record.registered, outcome_scale(findings)
    if study.search is None:
        return None
    series, tried = [], by_arm(findings)
    for arm, ink in distinct_inks([*study.arms], study.baseline).items():
        found = {value: finished(findings, trial(arm, value), study.outcome) for value in tried[arm]}
        table = scale.factor * pd.DataFrame(found).dropna(axis="columns")  # without values that have a diverged trial
        if not table.empty:
            seeds = [_points(row) for _, row in table.iterrows()]
            series.append(Curve(label(findings.study, arm), ink, _points(table.mean()), seeds))
    values = sorted({value for own in tried.values() for value in own})
    finding, setting = headings.best_trials(findings), setting_of(study.search.setting)
    better = "↓ better" if findings.outcome.lower_is_better else "↑ better"
    about = f"{_about(study.outcome)}, at the end of the trials ({scale.unit}; {better})"
    plot = partial(
        draw.against,
        series,
        [],
        head=Head(finding, about),
        factor=setting.axis,
        legend="arm",
        values={value: f"{value:g}" for value in values},
        log=min(values) > 0,
    )
    best = "lowest" if findings.outcome.lower_is_better else "highest"
    caption = (
        f"**Search.** Thick lines are means over the {count(study.search.seeds)} seeds of the search, dots single "
        f"trials. An arm's own {escape(setting.words)} is where its thick line is {best}."
    )
    return Drawing("search", finding, caption, plot)


def _row(findings: Findings, judged: Judged) -> plots.ForestRow:
    scale, interval = outcome_scale(findings), judged.interval
    mean, low, high = (scale.factor * value for value in (interval.mean, interval.low, interval.high))
    dots = [scale.factor * difference for difference in judged.contrast.differences]
    between = scale.between(interval.low, interval.high)
    value = scale.signed(interval.mean) + (f" ({between})" if between != DASH else "")
    said = judged.verdict.words if judged.expects else "" if findings.study.explores else NOT_REGISTERED
    name = label(findings.study, judged.arm)
    if judged.against != findings.study.baseline:
        name += f" (against {label(findings.study, judged.against)})"
    mark = EXPLORED if findings.study.explores else mark_of(judged)
    return plots.ForestRow(name, mean, low, high, dots, (value, said), mark)


def _curve(findings: Findings, arm: str, metric: str) -> Curve | None:
    table = scale_of(metric).factor * curve_of(findings, arm, metric)
    if table.shape[1] < 2 or table.empty:
        return None
    seeds = [_points(row) for _, row in table.iterrows()] if len(table) > 1 else []
    return Curve(names_of(findings)[arm], inks_of(findings)[arm], _points(table.mean()), seeds)


def _panel(name: str, table: pd.DataFrame, band: Band | None, scale: Scale) -> plots.Panel:
    mean = table.mean()
    end = signed(float(mean.iloc[-1]), scale.decimals)
    seeds = [_points(row) for _, row in table.iterrows()]
    ends = (band.low, band.high) if band else ((), ())
    return plots.Panel(name, end, seeds, _points(mean), *ends)


def _late(panel: plots.Panel) -> list[float]:
    """Return the heights that an axis must show: if all curves fall fast, only those after the start of the run."""
    x, y = panel.mean
    late = [i for i, tokens in enumerate(x) if tokens >= LATE * x[-1]]
    lines = [y, *(values for _, values in panel.seeds), *(edge for edge in (panel.low, panel.high) if len(edge))]
    return [value for line in lines for i in late if math.isfinite(value := float(line[i]))]


def _levels(findings: Findings, metric: str) -> list[Level]:
    scale, runs = scale_of(metric), findings.record.arm(findings.study.baseline)
    found = [
        (scale.factor * float(runs[known].mean()), name, dash)
        for known, name, dash in LEVELS.get(metric, ())
        if known in runs
    ]
    levels = [Level(y, name, dash) for y, name, dash in found if math.isfinite(y)]
    return [Level(50.0, "guessing"), *levels] if metric == PAIRS else levels


def _uneven(findings: Findings) -> bool:
    return len({len(findings.record.arm(arm)) for arm in arms_shown(findings)}) > 1


def _about(metric: str) -> str:
    """Return the name of a metric for readers."""
    words = outcome_of(metric).words
    return f"{words[0].upper()}{words[1:]}"


def _points(values: "pd.Series[float]") -> Points:
    return [float(x) for x in values.index], [float(y) for y in values]
