"""Parts of a difference of losses: a later start, or something after the start.

Enters: `Findings`. Leaves: a markdown section and its figure; "" and None if the outcome is no loss or the curves are
insufficient.
"""

import math
from functools import partial

from bertlab.report.draw import NAMED
from bertlab.report.figures import Drawing
from bertlab.report.layout import GREY, Head, token_text
from bertlab.report.study import plots
from bertlab.report.study.contrasts import compared, in_order
from bertlab.report.study.headings import made_of
from bertlab.report.study.marks import Mark
from bertlab.report.study.scale import outcome_scale
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, number, percent
from bertlab.stats.interval import Interval
from bertlab.study.judge import Findings
from bertlab.study.labels import label
from bertlab.study.onset import Started, started

ABOUT = (
    "*Onset*: the tokens at which a run's context gain passes the floor of {floor} nats, read off its curve between "
    "two evaluations. *Through the onset*: what the later or earlier start costs at the slope that runs of all arms "
    "share within arms and seeds (analysis of covariance); *at equal onset*: the rest. *Aligned*: the difference of "
    "the curves once each is counted from its own onset, at the largest age that both reach. Intervals are of 90 %. It "
    "is what the difference is made of and no correction, since the arm causes the onset; the verdict is on the whole."
)

THROUGH = Mark(GREY, "D", "through the onset", hollow=True)
EQUAL = Mark(NAMED[0], "D", "at equal onset")


def onset(findings: Findings) -> str:
    """The parts of every difference through the onset and at equal onset."""
    found = started(findings)
    if found is None:
        return ""
    scale = outcome_scale(findings)
    header = ["arm", "median onset (tokens)", "never left", f"difference ({scale.apart})"]
    header += ["through the onset", "at equal onset", "aligned", "what it is"]
    baseline = findings.study.baseline
    rows = [[escape(baseline), _median(found, baseline), _never(found, baseline), "baseline", *[""] * 4]]
    rows += [_row(findings, found, judged.arm) for judged in in_order(findings)]
    about = ABOUT.format(floor=number(findings.study.floor, 2))
    return "\n\n".join(
        ["## What the difference is made of", _slope(findings, found), Table(header, rows).markdown(), about]
    )


def parts_figure(findings: Findings) -> Drawing | None:
    """Both parts of every primary difference with their intervals, against the margin."""
    found = started(findings)
    shown = [arm for arm in findings.primary if found and arm in found.parts]
    if not found or not shown:
        return None
    scale, rows = outcome_scale(findings), []
    for arm in shown:
        parts = found.parts[arm]
        for mark, part in ((THROUGH, parts.through), (EQUAL, parts.equal)):
            # CPUs differ in the last bit of a regression, enough to change a rounded coordinate
            mean, low, high = (round(scale.factor * value, 12) for value in (part.mean, part.low, part.high))
            words = (f"{scale.signed(part.mean)} ({scale.between(part.low, part.high)})", mark.words)
            name = label(findings.study, arm) if mark is THROUGH else ""
            rows.append(plots.Contrast(name, mean, low, high, [], words, mark))
    about = f"{findings.outcome.words[0].upper()}{findings.outcome.words[1:]}: parts of the difference ({scale.apart})"
    head = Head(made_of(findings, found, shown), about)
    size = f"the margin, {number(scale.factor * findings.margin, scale.decimals)}"
    sides = ("better", "worse")
    plot = partial(plots.forest, rows, scale.factor * findings.margin, head=head, sides=sides, size=size)
    caption = (
        "**Parts of the differences.** Grey and hollow: what goes through a later or earlier start; filled: what is "
        "left at equal onset. Bars: 90 % intervals. Grey zone: differences smaller than the margin."
    )
    told = " ".join(f"{row.name} {row.words[1]}: {row.words[0]}." for row in rows)
    return Drawing("onset", head.finding, caption, plot, told)


def word_of(findings: Findings, arm: str) -> str:
    """Return the main part of an arm's difference in a few words; "" if unknown."""
    found = started(findings)
    return found.parts[arm].word if found and arm in found.parts else ""


def _row(findings: Findings, found: Started, arm: str) -> list[str]:
    name = escape(arm + compared(findings, arm))
    median, never = _median(found, arm), _never(found, arm)
    parts = found.parts.get(arm)
    if parts is None:
        return [name, median, never, *[DASH] * 4, "not known: too few runs left the plateau"]
    aligned = found.aligned.get(arm)
    told = [_ends(findings, each) for each in (parts.total, parts.through, parts.equal)]
    return [name, median, never, *told, _ends(findings, aligned) if aligned else DASH, parts.word]


def _ends(findings: Findings, interval: Interval) -> str:
    scale = outcome_scale(findings)
    return f"{scale.signed(interval.mean)} ({scale.between(interval.low, interval.high)})"


def _median(found: Started, arm: str) -> str:
    starts = found.starts[arm]
    median = float(starts.median()) if len(starts) else math.nan
    return token_text(math.exp(median)) if math.isfinite(median) else DASH


def _never(found: Started, arm: str) -> str:
    starts = found.starts[arm]
    return f"{count(sum(map(math.isinf, starts)))} of {count(len(starts))}"


def _slope(findings: Findings, found: Started) -> str:
    scale, slope = outcome_scale(findings), found.slope
    return (
        f"A start that is later by 10 % of the tokens changes the loss by {scale.signed(slope.slope * math.log(1.1))} "
        f"{scale.apart} at the end of training. When runs start explains {percent(slope.explained)} % of the variance "
        "that arms and seeds leave."
    )
