"""The sections of an exploratory report, in reading order: one function each, from a `Sweep` to markdown.

A section that has nothing to say returns "". An exploratory report states effects and intervals, never a verdict:
verdicts belong to studies that were registered before they ran.
"""

import math
import re
from collections.abc import Callable, Sequence

from bertlab.report.caveats import CAVEATS, below_floor, floor
from bertlab.report.figures import drawings
from bertlab.report.run_table import as_number
from bertlab.report.settings import LOSS, Setting, Sweep, difference, distinct, final, run_label
from bertlab.report.table import Table
from bertlab.report.tables import cost, rates, results, states
from bertlab.report.tasks import tasks
from bertlab.report.words import DASH, between, count, escape, listing, number, plural
from bertlab.stats.interval import mean_t

NOTES = {"corpus": "Corpus", "licence": "Licence", "unknown": "Unknown", "overlap": "Overlap"}  # facts and their names
NOTES["evaluation"] = "Evaluation"
MANY = 12  # more values than this are named by their range


def question(sweep: Sweep) -> str:
    """Title, what was varied, and on what."""
    sentences = " ".join([*_varied(sweep), _training(sweep), _runs(sweep)])
    notes = [f"- {name}: {escape(sweep.facts[key])}" for key, name in NOTES.items() if sweep.facts.get(key)]
    return "\n\n".join(filter(None, [f"# {escape(sweep.facts['title'])}", sentences, "\n".join(notes)]))


def result(sweep: Sweep) -> str:
    """The result in plain words, how sure it is, and what kind of report this is."""
    below = len(below_floor(sweep))
    warning = (
        f"Read it with care: {count(below)} of {plural(len(sweep.counted), 'finished run')} gained less than "
        f"{number(floor(sweep), 2)} nats from context, too little to compare designs (see Caveats)."
    )
    kind = "This report explores: it states effects and reaches no verdict. Only a study registered beforehand does."
    return f"**Result.** {_finding(sweep)}{' ' + warning if below else ''}\n\n{kind}"


def figures(sweep: Sweep) -> str:
    """Every figure with the sentence that says what to see."""
    shown = [f"![{escape(d.alt)}](figures/{d.name}.svg)\n\n{d.caption}" for d in drawings(sweep)]
    return "\n\n".join(["## Figures", *shown]) if shown else ""


def caveats(sweep: Sweep) -> str:
    """The caveats whose conditions hold."""
    held = [f"- {text}" for caveat in CAVEATS if (text := caveat(sweep))]
    return "\n".join(["## Caveats", "", *held]) if held else ""


def repeat(sweep: Sweep) -> str:
    """The command, what it ran on, and every run with its outcome."""
    fence = "`" * (1 + max(map(len, re.findall("`{2,}", sweep.facts["command"])), default=2))
    kinds = {"version": "bertlab version", "code": "Code fingerprint", "corpus": "Corpus fingerprint"}
    kinds |= {"environment": "Environment"} if "tags.bertlab.environment" in sweep.runs else {}
    origin = [f"- {name}: {_values(distinct(sweep.runs, f'tags.bertlab.{kind}'))}" for kind, name in kinds.items()]
    rows = [
        [
            escape(run_label(run)),
            run["outcome"],
            escape(run["run_id"]),
            number(loss) if run["outcome"] == "finished" else DASH,
        ]
        for (_, run), loss in zip(sweep.runs.iterrows(), final(sweep.runs, LOSS), strict=True)
    ]
    runs = Table(["run", "outcome", "run id", "final MLM loss (nats)"], rows, left=3).markdown()
    twins = "The numbers behind this page: [runs.csv](runs.csv), [curves.csv](curves.csv), [facts.json](facts.json)."
    command = f"{fence}bash\n{sweep.facts['command'].strip()}\n{fence}"
    return "\n\n".join(["## How to repeat", command, "\n".join(origin), runs, twins])


SECTIONS: Sequence[Callable[[Sweep], str]] = (
    question,
    result,
    results,
    cost,
    figures,
    rates,
    states,
    tasks,
    caveats,
    repeat,
)


def _varied(sweep: Sweep) -> list[str]:
    sets = [f"{escape(factor)} to {_values(distinct(sweep.runs, f'params.{factor}'))}" for factor in sweep.factors]
    fixed = [f"{escape(factor)} at {_values(distinct(sweep.runs, f'params.{factor}'))}" for factor in sweep.constants]
    return [f"This sweep sets {', and '.join(sets)}." if sets else "This sweep varies only the seed."] + (
        [f"It keeps {listing(fixed)}."] if fixed else []
    )


def _values(values: list[str]) -> str:
    shown = [escape(value) for value in values] or [DASH]
    return listing(shown) if len(shown) <= MANY else f"{count(len(shown))} values from {shown[0]} to {shown[-1]}"


def _training(sweep: Sweep) -> str:
    held = {
        key: [] if key in sweep.factors else distinct(sweep.runs, f"params.{key}")
        for key in ("model", "data", "budget.tokens")
    }
    budgets = [escape(tokens) if math.isnan(n := as_number(tokens)) else count(n) for tokens in held["budget.tokens"]]
    model = f"model {listing(f'*{escape(name)}*' for name in held['model'])}" if held["model"] else "a model"
    corpus = f" on corpus {listing(f'*{escape(name)}*' for name in held['data'])}" if held["data"] else ""
    budget = f" for {listing(budgets)} tokens" if budgets else ""
    length = f" in sequences of {escape(sweep.facts['length'])} tokens" if sweep.facts.get("length") else ""
    if final(sweep.counted, "perf/tokens").max() == 0:
        return f"Each run evaluates {model}{corpus}{length}, and trains nothing."
    return f"Each run trains {model}{corpus}{budget}{length}."


def _runs(sweep: Sweep) -> str:
    per_setting = {setting.runs["params.seed"].nunique() for setting in sweep.settings}
    each = listing(map(count, sorted({min(per_setting), max(per_setting)})))
    seeds = f"{'between ' if len(per_setting) > 1 else ''}{each} {'seed' if each == '1' else 'seeds'}"
    settings = f"{plural(len(sweep.settings), 'setting')} with {seeds}{' each' if len(sweep.settings) > 1 else ''}"
    finished = "all finished" if sweep.lost.empty else f"{count(len(sweep.counted))} reached a final loss"
    return f"That is {plural(len(sweep.runs), 'run')}: {settings}; {finished}."


def _finding(sweep: Sweep) -> str:
    ranked, reference = sweep.ranked, sweep.reference
    if not ranked:
        return "No run finished with a finite loss, so there is nothing to compare."
    best = ranked[0]
    if len(sweep.settings) == 1:
        return _alone(best)
    lead = f"The lowest final loss is {number(best.mean())} nats, at {escape(best.label)}"
    if reference.counted.empty:
        return f"{lead}. The reference, {escape(reference.label)}, has no finished run, so no difference can be stated."
    if best is not reference:
        return f"{lead}. {_contrast('It', best, reference, f'the reference, {escape(reference.label)}', len(ranked))}"
    if len(ranked) == 1:
        return f"{lead}, the reference; no other setting has a finished run."
    subject = f"Next comes {escape(ranked[1].label)}, which"
    return f"{lead}, the reference. {_contrast(subject, ranked[1], reference, 'the reference', len(ranked))}"


def _alone(setting: Setting) -> str:
    interval = mean_t(setting.by_seed(LOSS))
    text = f"The final loss is {number(interval.mean)} nats"
    if interval.n == 1:
        return f"{text}, from one seed, which cannot show how much it would vary with another."
    ends = f"{number(interval.low)} to {number(interval.high)}"
    return f"{text}, the mean of {count(interval.n)} seeds (95 % interval {ends})."


def _contrast(subject: str, setting: Setting, reference: Setting, against: str, tried: int) -> str:
    d = difference(setting, reference)
    if not d.n:
        return f"{subject} shares no seed with {against}, so no difference is stated."
    size = number(abs(d.mean))
    amount = f"{size} nats {'lower' if d.mean < 0 else 'higher'} than" if size.strip("0.") else "within 0.001 nats of"
    text = f"{subject} ends {amount} {against}"
    if d.n == 1:
        return f"{text}, on one seed, and one seed cannot tell a difference from chance."
    sure = (
        "the interval excludes zero: the spread between seeds alone would rarely give such a difference"
        if d.excludes_zero
        else "the interval includes zero: these seeds do not tell the two apart"
    )
    chosen = (
        f" That does not allow for having looked at {count(tried)} settings." if tried > 2 and d.excludes_zero else ""
    )
    return f"{text} (95 % interval of the difference {between(d)} nats, {count(d.n)} paired seeds); {sure}.{chosen}"
