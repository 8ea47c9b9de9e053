"""Other measures, without verdicts: shares of what can be learned, other rates, other outcomes, layers.

Enters: `Findings`. Leaves: markdown sections, "" if nothing was measured.
"""

import math
import re
from itertools import count as count_from
from itertools import takewhile

from bertlab.evaluation.measures import measure_of
from bertlab.report.study.contrasts import compared, in_order
from bertlab.report.study.scale import scale_of
from bertlab.report.study.seeds import finished, paired
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, number, percent, signed
from bertlab.stats.interval import paired_t
from bertlab.study.judge import Findings
from bertlab.study.onset import ONSET, onsets_in

RATE = re.compile(r"eval/mlm_loss\.rate_([0-9.]+)")
OF_TASK = re.compile(r"eval/tasks\.[\w-]+\.[a-z0-9_]+")
LEVEL = 0.90


def rates(findings: Findings) -> str:
    """The matrix of arms against the masking rate of the evaluation."""
    found = sorted((float(match[1]), name) for name in findings.record.metrics if (match := RATE.fullmatch(name)))
    arms = [findings.study.baseline, *(judged.arm for judged in in_order(findings))]
    means = {name: [float(finished(findings, arm, name).mean()) for arm in arms] for _, name in found}
    means = {name: column for name, column in means.items() if any(map(math.isfinite, column))}
    if not means:
        return ""
    lowest = {name: min(filter(math.isfinite, column)) for name, column in means.items()}
    rows = [
        [escape(arm), *(_bold(column[row], lowest[name]) for name, column in means.items())]
        for row, arm in enumerate(arms)
    ]
    header = ["arm", *(f"{100 * rate:g} % masked" for rate, name in found if name in means)]
    text = (
        "Mean MLM loss in nats when the same held-out text is masked at another rate; each row is an arm, trained its "
        "own way. Bold is the lowest mean of its column, which says nothing of chance."
    )
    return "\n\n".join(["## Loss at other masking rates", text, Table(header, rows).markdown()])


def learnt(findings: Findings) -> str:
    """The contrasts as shares of what can be learned from context, on a corpus with a known best loss."""
    base, best, word = (
        finished(findings, findings.study.baseline, f"eval/{name}").mean()
        for name in ("mlm_loss", "bayes_loss", "unigram_loss")
    )
    learnable = word - best
    if findings.study.outcome != "eval/mlm_loss" or not learnable > 0:
        return ""
    rows = [[escape(findings.study.baseline), percent((word - base) / learnable), "baseline", ""]]
    for judged in in_order(findings):
        captured = (word - finished(findings, judged.arm, "eval/mlm_loss").mean()) / learnable
        low, high = (-end / learnable for end in (judged.interval.high, judged.interval.low))
        ends = f"{signed(100 * low, 1)} to {signed(100 * high, 1)}" if math.isfinite(low) else DASH
        arm = escape(judged.arm + compared(findings, judged.arm))
        rows.append([arm, percent(captured), signed(-100 * judged.contrast.mean / learnable, 1), ends])
    text = (
        f"The best possible loss on this text is known, {number(best)} nats, {number(learnable)} below that of word "
        "frequencies: so much can be learnt from context. *Learnt*: the share of it that an arm has reached, mean over "
        "its seeds. The differences and their intervals are those of the contrasts, as shares of it; a minus sign "
        "means that less is learnt."
    )
    header = ["arm", "learnt (%)", "difference (percentage points)", "interval (percentage points)"]
    return "\n\n".join(["## Share of what can be learnt", text, Table(header, rows).markdown()])


def secondary(findings: Findings) -> str:
    """Other registered outcomes: the mean of each arm and the interval of its difference."""
    tasks = [metric for metric in findings.record.metrics if OF_TASK.fullmatch(metric)]  # without their standard errors
    rows = [row for metric in dict.fromkeys([*findings.study.secondary, *tasks]) for row in _rows(findings, metric)]
    if not rows:
        return ""
    header = ["outcome", "better", "arm", "n", "mean", "difference", "90 % interval"]
    explores = findings.study.explores
    text = (
        f"{'Shown' if explores else 'Registered to be shown,'} without a verdict: the intervals are those of single "
        "contrasts from the arm's own spread, with no allowance for how many there are. The mean is over the arm's own "
        "seeds, the difference over the n pairs."
    )
    return "\n\n".join(
        [f"## {'Results' if explores else 'Secondary outcomes'}", text, Table(header, rows, left=3).markdown()]
    )


def layers(findings: Findings) -> str:
    """Measures of the states of each layer, if the study has some."""
    study, known = findings.study, set(findings.record.metrics)
    looked = [metric for metric in (study.outcome, *study.secondary) if f"{metric}.layer_0" in known]
    tables = [_by_layer(findings, metric) for metric in looked]
    if not tables:
        return ""
    text = (
        "Means over the seeds of an arm. Layer 0 is the embedding, before any token has looked at another; a row ends "
        "with the arm's last layer, which the tables above show. For comparing layers: no verdict rests on this."
    )
    return "\n\n".join(["## Layer by layer", text, *tables])


def _by_layer(findings: Findings, metric: str) -> str:
    scale, rows = scale_of(metric), []
    for arm in [findings.study.baseline, *(judged.arm for judged in in_order(findings))]:
        names = takewhile(set(findings.record.metrics).__contains__, (f"{metric}.layer_{k}" for k in count_from(0)))
        means = [float(finished(findings, arm, name).mean()) for name in (*names, metric)]
        rows.append([escape(arm), *(scale.value(mean) for mean in means if math.isfinite(mean))])
    deepest = max(map(len, rows))
    header = [f"{escape(metric)} ({scale.unit})", *(f"layer {layer}" for layer in range(deepest - 1))]
    return Table(header, [row + [""] * (deepest - len(row)) for row in rows]).markdown()


def _bold(mean: float, lowest: float) -> str:
    return f"**{number(mean)}**" if mean == lowest else number(mean)


def _rows(findings: Findings, metric: str) -> list[list[str]]:
    base = finished(findings, findings.study.baseline, metric)
    measure = measure_of(metric)
    if base.empty or measure is None:
        return []
    scale, better = scale_of(metric), "lower" if measure.lower_is_better else "higher"
    name = f"{escape(metric)} ({scale.unit})"
    if not measure.judges:  # a reference asks no model: every arm has the same
        return [[name, "", "every arm", "", scale.value(float(base.mean())), "reference", ""]]
    first = f"{_bound(findings, findings.study.baseline, metric)}{scale.value(float(base.mean()))}"
    rows = [[name, better, escape(findings.study.baseline), "", first, "baseline", ""]]
    for judged in in_order(findings):
        apart = paired_t(paired(findings, judged.arm, metric), LEVEL)
        own = float(finished(findings, judged.arm, metric).mean())
        told = [scale.signed(apart.mean), scale.between(apart.low, apart.high)]
        if metric == ONSET and any(_is_half_bounds(findings, arm) for arm in (judged.arm, judged.against)):
            told = [DASH, DASH]
        arm, mean = escape(judged.arm + compared(findings, judged.arm)), scale.value(own)
        rows.append([name, better, arm, count(apart.n), f"{_bound(findings, judged.arm, metric)}{mean}", *told])
    return rows


def _bound(findings: Findings, arm: str, metric: str) -> str:
    """Return whether a mean onset is at most or at least what is written, since some runs have only a bound."""
    found = onsets_in(findings, arm) if metric == ONSET else None
    if found is None or bool(found.before) is bool(found.never):
        return ""
    return "at most " if found.before else "at least "


def _is_half_bounds(findings: Findings, arm: str) -> bool:
    found = onsets_in(findings, arm)
    return found.is_bound or found.is_unstarted
