"""Parts of a difference of losses: a later start, or something after the start.

Enters: `Findings`. Leaves: a markdown section and its figure; "" and None if the outcome is no loss or the curves are
insufficient.
"""

import math
from functools import partial

import numpy as np

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
from bertlab.stats.onset import FEWEST
from bertlab.study.judge import GAIN, Findings
from bertlab.study.labels import label
from bertlab.study.onset import Onsets, Started, started

ABOUT = (
    "*Onset*: the tokens at which a run's context gain passes the floor of {floor} nats, read off its curve between "
    "two evaluations. "
)
BEFORE = (
    "A run that had passed it by its first evaluation, at {tokens} tokens, started *before the first evaluation*: its "
    "onset is at most that, and where half of the runs have no more than such a bound, the difference is not taken "
    "apart. "
)
THROUGH_AND_EQUAL = (
    "*Through the onset*: what the later or earlier start costs at the slope that runs of all arms share within arms "
    "and seeds (analysis of covariance); *at equal onset*: the rest. "
)
ALIGNED = (
    "*Aligned*: the difference of the curves once each is counted from its own onset, at the largest age that both "
    "reach; the run that started earlier is read before its learning rate has fallen to the end, which is in favour of "
    "the other one. "
)
WHOLE = (
    "Intervals are of 90 %. It is what the difference is made of and no correction, since the arm causes the onset; "
    "the verdict is on the whole."
)
NO_SLOPE = (
    f"The runs leave fewer than {FEWEST} degrees of freedom for the slope of the loss on the onset, too few to take a "
    "difference apart by it."
)

THROUGH = Mark(GREY, "D", "through the onset", hollow=True)
EQUAL = Mark(NAMED[0], "D", "at equal onset")


def onset(findings: Findings) -> str:
    """The onsets of every arm, and the parts of its difference through the onset and at equal onset."""
    found = started(findings)
    if found is None:
        return ""
    baseline, apart = findings.study.baseline, outcome_scale(findings).apart
    bounded, aligned = any(own.before for own in found.onsets.values()), bool(found.aligned)
    columns = {
        "arm": True,
        "median onset (tokens)": True,
        "before the first evaluation": bounded,
        "never left": True,
        f"difference ({apart})": True,
        "through the onset": bool(found.parts),
        "at equal onset": bool(found.parts),
        "aligned": aligned,
        "what it is": True,
    }
    cells = [[escape(baseline), *_starts(found.onsets[baseline]), "baseline", *[""] * 4]]
    cells += [_row(findings, found, judged.arm) for judged in in_order(findings)]
    rows = [[cell for cell, there in zip(row, columns.values(), strict=True) if there] for row in cells]
    table = Table([name for name, there in columns.items() if there], rows).markdown()
    about = [ABOUT.format(floor=number(findings.study.floor, 2))]
    about += [BEFORE.format(tokens=_first(findings))] if bounded else []
    about += [THROUGH_AND_EQUAL] if found.parts else []
    about += [ALIGNED] if aligned else []
    return "\n\n".join(["## What the difference is made of", _slope(findings, found), table, "".join([*about, WHOLE])])


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
            rows.append(plots.ForestRow(name, mean, low, high, [], words, mark))
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
    """Return what an arm's difference is made of in a few words; "" if unknown."""
    found = started(findings)
    return found.words.get(arm, "") if found else ""


def median_text(found: Onsets) -> str:
    """Write the median onset in tokens: "at most" for an upper bound, a dash if half of the runs never left."""
    if not math.isfinite(found.median):
        return DASH
    return f"{'at most ' if found.is_bound else ''}{token_text(math.exp(found.median))}"


def _row(findings: Findings, found: Started, arm: str) -> list[str]:
    parts, ends = found.parts.get(arm), partial(_ends, findings)
    told = [found.totals.get(arm), *((parts.through, parts.equal) if parts else (None, None)), found.aligned.get(arm)]
    name = escape(arm + compared(findings, arm))
    return [name, *_starts(found.onsets[arm]), *map(ends, told), found.words.get(arm, DASH)]


def _ends(findings: Findings, interval: Interval | None) -> str:
    if interval is None:
        return DASH
    scale = outcome_scale(findings)
    return f"{scale.signed(interval.mean)} ({scale.between(interval.low, interval.high)})"


def _starts(found: Onsets) -> list[str]:
    """Return the median onset, and how many runs started before the first evaluation and how many never."""
    return [median_text(found), *(f"{count(n)} of {count(found.n)}" for n in (found.before, found.never))]


def _first(findings: Findings) -> str:
    """Write the tokens of the baseline's first evaluation."""
    tokens = np.array([int(each) for each in findings.record.curve(findings.study.baseline, GAIN).columns])
    return token_text(float(tokens[tokens > 0].min()))


def _slope(findings: Findings, found: Started) -> str:
    """Describe the cost of a later start, or why it is not known."""
    if found.slope is None:
        return NO_SLOPE
    scale, slope, tenth = outcome_scale(findings), found.slope, math.log(1.1)
    ends = scale.between(tenth * slope.interval.low, tenth * slope.interval.high)
    return (
        f"A start that is later by 10 % of the tokens changes the loss by {scale.signed(tenth * slope.slope)} "
        f"{scale.apart} (90 % interval {ends}) at the end of training. When runs start explains "
        f"{percent(slope.explained)} % of the variance that arms and seeds leave."
    )
