"""Sections that only the page of a sweep has: what was varied, and the limits of the result.

Enters: `Findings` without a claim. Leaves: markdown. A sweep states effects and intervals, never a verdict: verdicts
need a registration before the runs.
"""

import math
import re
from collections.abc import Callable

from bertlab.report.layout import token_text
from bertlab.report.study.scale import outcome_scale
from bertlab.report.study.seeds import finished
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, listing, number, plural
from bertlab.stats.interval import mean_t
from bertlab.study.design import Study
from bertlab.study.exploration import LOSS
from bertlab.study.judge import Findings, Judged
from bertlab.study.outcome import outcome_of

MANY = 12  # more values than this are shown as a range
COST = {"tokens": count, "predicted_tokens": count, "flops": token_text, "seconds": count, "tokens_per_second": count}
TASK = re.compile(r"eval/tasks\.([\w-]+)\.([a-z0-9_]+)")
SCORES = (
    "Means over runs. After ± is the standard error of a run's score: over the items that judge, and over the "
    "seeds of fine-tuning where there are several. A difference between settings is judged by runs with other seeds, "
    "not by it."
)


def question(findings: Findings) -> str:
    """Title, what was varied, and the number of runs."""
    study, arms = findings.study, findings.study.arms
    sets = [f"{escape(factor)} to {_values(found)}" for factor, found in factor_values(study).items()]
    varied = f"sets {', and '.join(sets)}" if sets else "varies only the seed"
    seeds = sorted({len(findings.record.arm(arm)) for arm in arms})
    each = " to ".join(dict.fromkeys(map(count, (seeds[0], seeds[-1]))))
    runs = f"{plural(len(arms), 'setting')} with {each} {'seed' if each == '1' else 'seeds'}"
    runs += " each" * (len(arms) > 1)
    return f"# {escape(study.question)}\n\nThis sweep {varied}: {runs}."


def result(findings: Findings) -> str:
    """The result in plain words, its uncertainty, and the kind of report."""
    kind = "This report explores: it states effects and reaches no verdict. Only a study registered beforehand does."
    return f"**Result.** {' '.join(result_of(findings))}\n\n{kind}"


def cost(findings: Findings) -> str:
    """The cost of a run of each setting."""
    known = {name: words for name, words in COST.items() if f"perf/{name}" in findings.record.metrics}
    rows = [
        [escape(arm), *(_mean(findings, arm, f"perf/{name}", words) for name, words in known.items())]
        for arm in findings.study.arms
    ]
    header = ["setting", *(name.replace("_", " ").replace("flops", "FLOPs") for name in known)]
    return f"## Cost of a run\n\n{Table(header, rows).markdown()}" if known else ""


def tasks(findings: Findings) -> str:
    """The scores on the user's own tasks, with their noise: one row per task and metric, one column per setting."""
    found = [match for name in findings.record.metrics if (match := TASK.fullmatch(name))]
    arms = list(findings.study.arms)
    rows = [
        [escape(each[1]), escape(each[2].replace("_", " ")), *(_score(findings, arm, each[0]) for arm in arms)]
        for each in found
    ]
    table = Table(["task", "metric", *map(escape, arms)], rows, left=2)
    return f"## Tasks\n\n{SCORES}\n\n{table.markdown()}" if found else ""


def weaknesses(findings: Findings) -> list[str]:
    """Describe weaknesses of a sweep."""
    facts, arms = findings.record.facts, {arm: findings.record.arm(arm) for arm in findings.study.arms}
    seeds = {arm: set(runs.index) for arm, runs in arms.items()}
    every = set().union(*seeds.values())
    lines = []
    if max(map(len, seeds.values())) == 1:
        lines.append(
            "**One seed per setting.** Another seed would move every loss; with one seed per setting, nothing here "
            "tells a difference between settings from chance. From three seeds on, the intervals become useful."
        )
    if "left_out" in facts:
        lines.append(
            f"**Runs without a result**, which enter no mean: {escape(facts['left_out'])}. Where the setting itself "
            "made a run fail, its mean looks better than it is."
        )
    if gaps := [
        f"{escape(arm)} lacks seed {listing(map(str, sorted(every - own)))}"
        for arm, own in seeds.items()
        if every - own
    ]:
        lines.append(f"**Seeds incomplete.** {'; '.join(gaps)}. Differences use only the seeds that both have.")
    if "unlike" in facts:
        lines.append(f"**Unlike runs.** They differ in what was not swept: {escape(facts['unlike'])}.")
    if "warning" in facts:
        lines.append(f"**The corpus weakens the comparison:** {escape(facts['warning'])}.")
    if len(ranked := [arm for arm, _ in ranked_arms(findings)]) > 2:
        lines.append(
            f"**Picked after looking.** The lowest of {count(len(ranked))} settings is in part the luckiest: expect "
            "its advantage to shrink when it is run again. No interval allows for this choice."
        )
        doses = findings.study.trend.doses if findings.study.trend else {}
        if doses and doses[ranked[0]] in (min(doses.values()), max(doses.values())):
            lines.append(f"**Best at the edge of the grid.** A better value may lie beyond {escape(ranked[0])}.")
    return lines


def factor_values(study: Study) -> dict[str, list[str]]:
    """Return the values of each factor, in the order of the arms."""
    columns = zip(*study.arms.values(), strict=True)
    return {
        factor: list(dict.fromkeys(each.partition("=")[2] for each in column))
        for factor, column in zip(study.factors, columns, strict=True)
    }


def _values(values: list[str]) -> str:
    shown = [escape(value) or DASH for value in values]
    return listing(shown) if len(shown) <= MANY else f"{count(len(shown))} values from {shown[0]} to {shown[-1]}"


def ranked_arms(findings: Findings) -> list[tuple[str, float]]:
    """Return the settings with a result and their mean loss, the lowest first."""
    means = {arm: float(finished(findings, arm, findings.study.outcome).mean()) for arm in findings.study.arms}
    return sorted(((arm, mean) for arm, mean in means.items() if math.isfinite(mean)), key=lambda each: each[1])


def result_of(findings: Findings) -> list[str]:
    """Name the setting with the lowest loss, and compare it with the baseline; a sentence each."""
    ranked = [arm for arm, _ in ranked_arms(findings)]
    baseline, scale, loss = findings.study.baseline, outcome_scale(findings), _loss_of(findings)
    if not ranked:
        return ["No run finished with a finite loss, so there is nothing to compare."]
    best = finished(findings, ranked[0], findings.study.outcome)
    if len(findings.study.arms) == 1:
        own = mean_t(best)
        ends = f" (95 % interval {scale.value(own.low)} to {scale.value(own.high)})" if own.n > 1 else ""
        return [f"The final {loss} is {scale.value(own.mean)} nats, over {plural(own.n, 'seed')}{ends}."]
    lead = f"The lowest final {loss} is {scale.value(float(best.mean()))} nats, at {escape(ranked[0])}"
    if baseline not in ranked:
        return [f"{lead}.", f"The baseline, {escape(baseline)}, has no finished run, so no difference can be stated."]
    if ranked[0] != baseline:
        return [f"{lead}.", _contrast(findings, "It", findings.arms[ranked[0]], len(ranked))]
    if len(ranked) == 1:
        return [f"{lead}, the baseline; no other setting has a finished run."]
    following = _contrast(findings, f"Next comes {escape(ranked[1])}, which", findings.arms[ranked[1]], len(ranked))
    return [f"{lead}, the baseline.", following]


def _loss_of(findings: Findings) -> str:
    """Name the loss that compares settings; the masked-token loss needs no name."""
    return "loss" if findings.study.outcome == LOSS else outcome_of(findings.study.outcome).words


def _contrast(findings: Findings, subject: str, judged: Judged, tried: int) -> str:
    apart, scale, against = judged.interval, outcome_scale(findings), f"the baseline, {escape(judged.against)}"
    if not apart.n:
        return f"{subject} shares no seed with {against}, so no difference is stated."
    size = scale.value(abs(apart.mean))
    amount = (
        f"{size} nats {'lower' if apart.mean < 0 else 'higher'} than" if size.strip("0.") else "within 0.001 nats of"
    )
    text = f"{subject} ends {amount} {against}"
    if apart.n == 1:
        return f"{text}, on one seed, and one seed cannot tell a difference from chance."
    sure = (
        "the interval excludes zero: the spread between seeds alone would rarely give such a difference"
        if apart.excludes_zero
        else "the interval includes zero: these seeds do not tell the two apart"
    )
    chosen = f" That does not allow for having looked at {count(tried)} settings." * (tried > 2 and apart.excludes_zero)
    ends = scale.between(apart.low, apart.high)
    return f"{text} (90 % interval of the difference {ends} nats, {count(apart.n)} paired seeds); {sure}.{chosen}"


def _mean(findings: Findings, arm: str, metric: str, words: Callable[[float], str] = number) -> str:
    mean = float(finished(findings, arm, metric).mean())
    return words(mean) if math.isfinite(mean) else DASH


def _score(findings: Findings, arm: str, metric: str) -> str:
    errors = [float(finished(findings, arm, f"{metric}.{source}").mean()) for source in ("se_items", "se_seeds")]
    error = math.hypot(*filter(math.isfinite, errors))
    mean = _mean(findings, arm, metric)
    return mean if mean == DASH else f"{mean} ± {number(error)}"
