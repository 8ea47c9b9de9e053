"""The tables of a report, one row per setting: what came out, its cost, the loss at other rates, what states hold.

Enters: a `Sweep`. Leaves: markdown sections. Numbers are means over the seeds that count; units stand in the header.
"""

import math
import re
from collections.abc import Callable, Sequence

from bertlab.report.settings import LOSS, Setting, Sweep, difference, final, logged
from bertlab.report.table import Table
from bertlab.report.words import DASH, between, count, escape, number, percent, signed
from bertlab.stats.interval import Interval

Column = tuple[str, Callable[[Setting], str]]

RATE = re.compile(r"metrics\.(eval/mlm_loss\.rate_([0-9.]+))")
SHARES = {"eval/mlm_accuracy": "MLM accuracy", "eval/pair_accuracy": "pair accuracy", "eval/captured": "captured"}
STATES = {
    "eval/moved_accuracy": "moved words told (%)",
    "eval/sense_accuracy": "senses named (%)",
    "eval/visible_accuracy": "seen words named (%)",
    "eval/token_share": "explained by the word alone (%)",
    "eval/effective_rank": "rank filled (%)",
    "eval/attention_entropy": "spread of attention (%)",
}
SCALES = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"))


def results(sweep: Sweep) -> str:
    """Final numbers per setting, each compared with the reference."""
    others = [setting for setting in sweep.settings if setting is not sweep.reference]
    apart = {setting.values: difference(setting, sweep.reference) for setting in others}
    shares = [(f"{name} (%)", _share(metric)) for metric, name in SHARES.items() if logged(sweep, metric)]
    columns: list[Column] = [
        ("note", lambda setting: _note(sweep, setting)),
        ("seeds", lambda setting: count(len(setting.by_seed(LOSS)))),
        ("MLM loss (nats)", lambda setting: number(setting.mean())),
        *_compared(apart),
        ("context gain (nats)", lambda setting: number(setting.mean("eval/context_gain"))),
        *shares,
    ]
    return f"## Results\n\n{_table(sweep, columns, notes=1)}\n\n{_reading(sweep, apart)}"


def cost(sweep: Sweep) -> str:
    """What a run of each setting consumed."""
    largest = final(sweep.counted, "perf/flops").max()
    unit, name = next(((unit, name) for unit, name in SCALES if unit <= largest), SCALES[-1])
    columns: list[Column] = [
        ("tokens", lambda setting: count(setting.mean("perf/tokens"))),
        ("predicted tokens", lambda setting: count(setting.mean("perf/predicted_tokens"))),
        (f"compute ({name})", lambda setting: number(setting.mean("perf/flops") / unit, 1)),
        ("minutes", lambda setting: number(setting.mean("perf/seconds") / 60, 1)),
        ("tokens/s", lambda setting: count(setting.mean("perf/tokens_per_second"))),
    ]
    return f"## Cost of a run\n\n{_table(sweep, columns)}"


def rates(sweep: Sweep) -> str:
    """The matrix of settings against the masking rate at which they are evaluated."""
    found = (match for column in sweep.runs.columns if (match := RATE.fullmatch(column)))
    grid_rates = sorted((float(match[2]), match[1]) for match in found if logged(sweep, match[1]))
    if not grid_rates:
        return ""
    columns = [(f"{100 * rate:g} % masked", _lowest_bold(sweep, metric)) for rate, metric in grid_rates]
    bold = "; bold is the lowest of its column" if len(sweep.settings) > 1 else ""
    text = f"Mean MLM loss in nats when the same held-out text is masked at another rate{bold}."
    return f"## Loss at other masking rates\n\n{text}\n\n{_table(sweep, columns)}"


def states(sweep: Sweep) -> str:
    """What the states of the last layer hold of text with nothing hidden."""
    columns: list[Column] = [(name, _share(metric)) for metric, name in STATES.items() if logged(sweep, metric)]
    if not any(logged(sweep, f"{metric}.layer_0") for metric in STATES):
        return ""
    text = (
        "Of held-out text with nothing hidden, from the states of the last layer as they are: the words that a linear "
        "probe rightly tells to be moved or in their place (chance is 50 %), whose sense it names where that is known, "
        "and that the model itself names; the share of the states' variance that the word alone explains; the rank of "
        "the states, of at most the width; and the entropy of attention in all layers, of at most that of even weights."
    )
    return f"## Visible text\n\n{text}\n\n{_table(sweep, columns)}"


def _table(sweep: Sweep, columns: Sequence[Column], notes: int = 0) -> str:
    factors = [escape(factor) for factor in sweep.factors] or ["setting"]
    header = [*factors, *(name for name, _ in columns)]
    rows = [[*_values(setting), *(cell(setting) for _, cell in columns)] for setting in sweep.settings]
    return Table(header, rows, left=len(factors) + notes).markdown()


def _values(setting: Setting) -> list[str]:
    return [escape(value) or DASH for value in setting.values] or [escape(setting.label)]


def _compared(apart: dict[tuple[str, ...], Interval]) -> list[Column]:
    def cell(words: Callable[[Interval], str]) -> Callable[[Setting], str]:
        return lambda setting: words(apart[setting.values]) if setting.values in apart else DASH

    columns: list[Column] = [("vs reference (nats)", cell(lambda d: signed(d.mean)))] if apart else []
    if any(d.n > 1 for d in apart.values()):
        columns += [("95 % interval (nats)", cell(between)), ("paired seeds", cell(lambda d: count(d.n)))]
    return columns


def _share(metric: str) -> Callable[[Setting], str]:
    return lambda setting: percent(setting.mean(metric))


def _lowest_bold(sweep: Sweep, metric: str) -> Callable[[Setting], str]:
    means = [mean for setting in sweep.settings if math.isfinite(mean := setting.mean(metric))]
    lowest = min(means) if len(means) > 1 else math.nan

    def cell(setting: Setting) -> str:
        mean = setting.mean(metric)
        return f"**{number(mean)}**" if mean == lowest else number(mean)

    return cell


def _note(sweep: Sweep, setting: Setting) -> str:
    lost = setting.runs["outcome"][setting.runs["outcome"] != "finished"].value_counts().sort_index()
    notes = [f"{n} {outcome}" for outcome, n in lost.items()]
    if len(sweep.settings) > 1:
        best = sweep.ranked[:1]
        notes = ["reference"] * (setting is sweep.reference) + ["lowest loss"] * (setting in best) + notes
    return ", ".join(notes)


def _reading(sweep: Sweep, apart: dict[tuple[str, ...], Interval]) -> str:
    sentences = ["Lower loss is better."]
    if apart:
        sentences.append(f"The reference is {escape(sweep.reference.label)}; a negative difference is an improvement.")
    if any(d.n > 1 for d in apart.values()):
        sentences.append("Losses are means over seeds; differences are taken seed by seed, with Student's t interval.")
    sentences.append("Context gain is the loss of a model that knows only word frequencies minus this loss.")
    if logged(sweep, "eval/captured"):
        sentences.append("Captured is the context gain as a share of what can be gained in this generated language.")
    return " ".join(sentences)
