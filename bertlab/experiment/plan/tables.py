"""The plan as tables and sentences, for a terminal or a pipe."""

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from bertlab.experiment.plan.outlook import FAR, OF_THE_SIGN, Chances, Outlook, Prospect
from bertlab.experiment.plan.runs import Runs
from bertlab.report.words import count, listing, number, plural
from bertlab.stats.claim import Expectation
from bertlab.stats.noise import LARGE, text_needed
from bertlab.stats.power import MOST, POWER
from bertlab.study.outcome import outcome_of
from bertlab.study.prior import prior_in, prior_key
from bertlab.study.record import EXPLORATION
from bertlab.study.search import EXTENSIONS
from bertlab.study.values import CONTROLS

Shown = str | Table
UNITS = {"nats": "in nats", "share": "as a share", "ln_tokens": "in ln tokens"}
SMALLEST = 0.005  # smaller chances are left out


def of_runs(runs: Runs) -> Iterator[Shown]:
    """Yield the question, the arms and the looks."""
    study = runs.study
    yield f"{study.question}\nClaim: {study.claim}\n"
    yield arms(runs)
    yield looks(runs)
    if study.search:
        yield (
            f"The search tries every arm at {listing(f'{value:g}' for value in study.search.values)} of "
            f"{study.search.setting}; one that is best at an end goes on beyond it, {EXTENSIONS} steps at most, which "
            "is not counted. What the search will find is not known: the looks count every arm at two values."
        )
    yield f"Evaluation takes {100 * runs.costs[study.baseline].evaluation:.1f} % of what training the baseline takes."
    if runs.speed is not None:
        rest = plural(runs.side_by_side, "run") + " at a time" if runs.side_by_side > 1 else "one run after another"
        yield f"Times: what is left, {rest}, from steps of the baseline timed just now and the FLOPs of each arm."


def of_prior(runs: Runs) -> Iterator[Shown]:
    """Yield the prior of the regime, if the study has none and reports of the regime give one."""
    if runs.study.prior.df:
        return
    key = prior_key(runs.costs[runs.study.baseline].fingerprint, runs.regime)
    prior = prior_in(runs.reports, key, runs.study.outcome)
    if prior.df:
        yield (
            f"\nIn this regime {count(prior.contrasts)} contrasts of {runs.reports} show how much paired differences "
            "usually vary. Verdicts of few seeds are steadier with that prior; register it in the study's file, before "
            f"its first run:\n  prior: {{variance: {prior.variance:.4g}, df: {prior.df:.4g}, "
            f"contrasts: {prior.contrasts}}}"
        )


def arms(runs: Runs) -> Table:
    """Return one row for each arm, control and the exploration: what a run is and costs."""
    study = runs.study
    table = table_of("arm", "claim", "changes", "M tokens", "time", "MiB", left=3)
    for name in runs.configs:
        changed = {**study.arms, **study.controls}.get(name, ())
        cost = runs.costs[name]
        table.add_row(
            name,
            role(runs, name),
            " ".join(changed),
            number(cost.tokens / 1e6, 2),
            duration(runs.seconds(name)),
            number(cost.weights / 2**20, 1),
        )
    return table


def role(runs: Runs, name: str) -> str:
    """Describe the role of an arm."""
    study = runs.study
    if name == study.baseline:
        return "baseline"
    if name in study.expects:
        return study.expects[name].value
    if name == EXPLORATION:
        return "for the slope"
    return "control" if name in CONTROLS else "exploratory"


def looks(runs: Runs) -> Table:
    """Return one row for each look: all runs up to it, if every arm continues so far."""
    table = table_of("until", "runs", "finished", "M tokens", "time left", "MiB")
    for sums in runs.until_each_look():
        table.add_row(
            sums.until,
            count(sums.runs),
            count(sums.finished),
            number(sums.tokens / 1e6, 1),
            duration(sums.seconds),
            number(sums.weights / 2**20, 1),
        )
    return table


def of_chances(outlook: Outlook) -> Iterator[Shown]:
    """Yield the chances of the study, and a warning if they are low."""
    study, scale = outlook.study, outlook.scale
    unit = UNITS[outcome_of(study.outcome).unit]
    yield (
        f"\nOutcome: {study.outcome}, {unit}. Margin: {scale.margin:.3g} ({scale.margin_from}). "
        f"Standard deviation of a paired difference: {scale.sd_from}.\n{levels(outlook)}"
    )
    if scale.text_share > LARGE:
        yield (
            f"Warning: in an earlier report the sample of held-out text made up {100 * scale.text_share:.0f} % of the "
            f"variance of a difference; {text_needed(scale.text_share, 1)} times as many sequences would bring that "
            f"down to {100 * LARGE:.0f} %."
        )
    for expects, chances in outlook.chances.items():
        yield (
            f"\nClaim {expects.value}: chance of each verdict with {study.looks[-1]} seeds, in per cent. "
            "True effects are in margins, negative = better than the baseline."
        )
        yield verdicts(chances, scale.margin)
        if warned := warning(expects, outlook.prospects[expects], outlook):
            yield warned


def levels(outlook: Outlook) -> str:
    """Describe the confidence level of the verdicts at each look."""
    looks, m = outlook.study.looks, len(outlook.study.expects)
    at = f"{listing(map(str, looks))} seeds" if len(looks) > 1 else plural(looks[0], "seed")
    text = f"Level of the interval that a verdict is read from, at {at}: {100 * outlook.level:.1f} %."
    return text if m == 1 else f"{text} A refutation is corrected for {m} arms too, which the chances below leave out."


def verdicts(chances: Sequence[Chances], margin: float) -> Table:
    """Return for each spread one row per possible verdict, with one column per true effect."""
    effects = dict.fromkeys(each.effect for each in chances)
    table = table_of("sd", "verdict", *(f"{effect / margin + 0:.2g} m" for effect in effects), left=2)
    for sd in dict.fromkeys(each.sd for each in chances):
        own = [each for each in chances if each.sd == sd]
        rows = {kind.value: [each.by_kind[kind] for each in own] for kind in own[0].by_kind}
        rows = {name: row for name, row in rows.items() if max(row) >= SMALLEST}
        rows["the claim is decided"] = [each.decided for each in own]
        for place, (name, row) in enumerate(rows.items()):
            table.add_row("" if place else f"{sd:.3g}", name, *map(_chance, row))
        table.add_section()
    return table


def warning(expects: Expectation, prospects: Sequence[Prospect], outlook: Outlook) -> str | None:
    """Say in one sentence if a decision is unlikely and what would help; None if it is likely."""
    poor = [prospect for prospect in prospects if not prospect.likely]
    if not poor:
        return None
    seeds = listing(str(prospect.seeds or f"more than {MOST}") for prospect in poor)
    near = "a true effect of 1 margin" if expects in OF_THE_SIGN else "no effect"
    margins = listing(_margin(prospect.margin, outlook) for prospect in poor)
    return (
        f"Warning: a decision is unlikely (under {100 * POWER:.0f} % at {near} or at {FAR:g} margins) with an sd of "
        f"{listing(f'{prospect.sd:.3g}' for prospect in poor)}; it would take about {seeds} seeds, or a margin of "
        f"{margins}, or longer runs, whose seeds usually differ less."
    )


def _margin(margin: float, outlook: Outlook) -> str:
    """Write a margin as in the study's file."""
    unit, slope = outlook.study.margin.unit, outlook.scale.slope
    value = math.expm1(margin / slope) if unit == "tokens" and slope else margin
    return f"{{{unit}: {value:.2g}}}"


def duration(seconds: float | None) -> str:
    """Write a time with a suitable unit; nothing if it was not measured."""
    if seconds is None:
        return ""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _chance(share: float) -> str:
    return f"{100 * share:.0f}" if share >= SMALLEST else ""


def table_of(*columns: str, left: int = 1) -> Table:
    """Return an empty table: the first `left` columns are names, the others numbers to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right", overflow="fold", no_wrap=not place)
    return table
