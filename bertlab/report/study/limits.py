"""Context of the result: published results, limits of the verdict, how to repeat it, and every run.

Enters: `Findings`. Leaves: markdown sections.
"""

import math
import re
from collections import Counter

from bertlab.report.stated import stated
from bertlab.report.study.budgets import budget, fair
from bertlab.report.study.cautions import misled, open_claims, orderless, plateau, twice, untuned
from bertlab.report.study.fitness import start_words
from bertlab.report.study.names import named
from bertlab.report.study.scale import outcome_scale
from bertlab.report.study.sweep import weaknesses
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, listing, number, plural, sentence
from bertlab.stats.rule import Kind
from bertlab.study.judge import Findings
from bertlab.study.record import EXPLORATION, FILES, OWN, RESTARTS

KNOWN_FROM = {  # sources of a published number
    "read": "read in the source",
    "abstract": "read in its abstract",
    "notes": "quoted by third-party notes",
    "unverified": "unverified",
}
NOT_RECORDED = "not recorded"


def published(findings: Findings) -> str:
    """Published results."""
    sources = findings.study.published
    if not sources:
        return ""
    rows = [
        [
            escape(source.source),
            escape(source.says),
            escape(source.size) or "not stated",
            KNOWN_FROM[source.status],
            escape(source.agrees) or DASH,
        ]
        for source in sources
    ]
    text = (
        "Other models, corpora and budgets: for comparison, not for confirmation. Whether a line agrees with the "
        "verdict above was written after it."
    )
    header = ["source", "found", "with a model of", "how it is known", "agrees with the verdict"]
    return "\n\n".join(["## What others found", text, Table(header, rows, left=5).markdown()])


def limits(findings: Findings) -> str:
    """The basis of the verdict and its limits."""
    explores = findings.study.explores
    lines = weaknesses(findings) if explores else []
    lines += [_regime(findings), *([] if explores else [_replication(findings)]), fair(findings)]
    lines += [*twice(findings), *_environments(findings), *_again(findings)]
    lines += [] if explores else untuned(findings)
    lines += [*plateau(findings), *misled(findings), *orderless(findings), *open_claims(findings)]
    return "\n".join(["## Limits", "", *(f"- {line}" for line in lines)])


def repeat(findings: Findings) -> str:
    """The command and its environment."""
    command = fact(findings, "command")
    fence = "`" * (1 + max(map(len, re.findall("`{2,}", command)), default=2))
    names = {
        "registration": "Registered as",
        "registered": "First registered",
        "version": "bertlab version",
        "code": "Code fingerprint",
        "fingerprint": "Data fingerprint",
        "corpus": "Corpus",
        "licence": "Licence",
        "evaluation": "Evaluation",
    }
    if findings.study.explores:
        names = {key: name for key, name in names.items() if stated(findings.record, key)}
    told = {"unknown": "Unknown", "overlap": "Overlap", "warning": "Warning"}  # earlier records lack these
    told |= {OWN: "Own parts and studies from the folder"}
    names |= {key: name for key, name in told.items() if key in findings.record.facts}
    lines = [f"- {name}: {escape(fact(findings, key))}" for key, name in names.items()]
    files = [*FILES, *([] if findings.study.explores else ("verdict.json", "verdicts.csv"))]
    own, place = findings.study.name, findings.study.place
    twins = f"The numbers behind this page: {', '.join(f'[{name}]({own}/{name})' for name in files)}."
    which = "" if findings.study.explores else f"study={place} "
    again = f"From them alone the page can be written again: `python -m bertlab.report {which}from=<its folder>`."
    return "\n\n".join(["## How to repeat", f"{fence}bash\n{command}\n{fence}", "\n".join(lines), f"{twins} {again}"])


def runs(findings: Findings) -> str:
    """Every run with its outcome."""
    metric, scale = findings.study.outcome, outcome_scale(findings)
    rows = [
        [
            escape(run["arm"]),
            str(run["seed"]),
            escape(run["run_id"]),
            "diverged" if run["diverged"] else "finished",
            scale.value(run.get(metric, math.nan)),
        ]
        for _, run in findings.record.runs.iterrows()
    ]
    what = "the margin" if findings.study.margin.unit == "tokens" else "what more tokens are worth"
    about = f"Runs of the arm *{EXPLORATION}* measured {what} and enter no contrast."
    if findings.record.registered.search:
        about += (
            " Those of *arm@value* are the trials of the search and enter none either; a run that is both "
            "stands in two rows."
        )
    about = "" if findings.study.explores else about
    table = Table(["arm", "seed", "run id", "ended", f"{escape(metric)} ({scale.unit})"], rows, left=4).markdown()
    return "\n\n".join(filter(None, ["## Runs", about, table]))


def fact(findings: Findings, name: str) -> str:
    """Return a fact of the record."""
    return " ".join((stated(findings.record, name) or NOT_RECORDED).split())


def _regime(findings: Findings) -> str:
    start = start_words(findings)
    model, budget, optimizer = (escape(fact(findings, name)) for name in ("model", "budget", "optimizer"))
    what = "What is seen here is" if findings.study.explores else "The verdict is"
    return (
        f"**One regime.** Model: {model}. Budget: {budget}{_seen(findings)}. Optimiser: {optimizer}. Corpus: "
        f"{escape(fact(findings, 'corpus'))}. {what} about training in this regime. It is not about BERT at "
        f"its own size, longer training, other text, or any task that was not measured here. {sentence(start)}"
    )


def epochs(findings: Findings) -> float:
    """Return how often a baseline run reads the training text; NaN if the record does not state it."""
    corpus = findings.record.regime.corpus
    tokens = budget(findings.record.arm(findings.study.baseline), "tokens").median()
    return float(tokens) / corpus.train.tokens if corpus else math.nan


def _seen(findings: Findings) -> str:
    """Describe how often the training text is read."""
    times = epochs(findings)
    return f", {number(times, 1)} epochs of the training text" if math.isfinite(times) else ""


def _environments(findings: Findings) -> list[str]:
    """Mention different environments of the runs, if any."""
    runs = findings.record.runs
    found = Counter(runs["environment"]) if "environment" in runs else Counter[str]()
    if len(found) < 2:
        return []
    listed = "; ".join(f"{escape(name) or NOT_RECORDED} ({plural(found[name], 'run')})" for name in sorted(found))
    return [
        f"**Several environments.** The runs were computed in {count(len(found))}: {listed}. Equal runs differ between "
        "them by rounding, which grows along a run to the size of what another order of the examples does."
    ]


def _again(findings: Findings) -> list[str]:
    """Name the runs whose process died and that were started again."""
    runs = findings.record.runs
    again = runs[runs[RESTARTS].astype(bool)] if RESTARTS in runs else runs[:0]
    if again.empty:
        return []
    study = findings.study
    arms = len(study.arms) > 1  # with a single arm the seed identifies the run
    listed = listing(f"{named(study, run['arm'])} at " * arms + f"seed {run['seed']}" for _, run in again.iterrows())
    return [
        f"**Started again.** {count(len(again))} of {plural(len(runs), 'run')} lost the process that trained it and "
        f"went on from the newest checkpoint, or from the start where there was none: {listed}."
    ]


def _replication(findings: Findings) -> str:
    pairs = [judged.contrast.n for judged in findings.primary.values()]
    n = count(min(pairs)) if min(pairs) == max(pairs) else f"{count(min(pairs))} to {count(max(pairs))}"
    known = all(judged.contrast.text for judged in findings.primary.values())
    text = (
        "all runs are scored on one sample of held-out text, which they allow for as if its sequences had been drawn "
        "one by one; they say nothing of text of another kind"
        if known
        else "all runs are scored on one held-out text, so they say nothing of other texts"
    )
    return (
        f"**Few seeds.** Intervals are over {n} paired seeds of training and rest on Student's t; {text}. Where the "
        f"differences of an arm are strongly skewed, the stated levels hold only roughly{_skewed(findings)}."
    )


def _skewed(findings: Findings) -> str:
    """Describe which EQUIVALENT would hold for skewed differences and which would not."""
    same = [judged for judged in findings.primary.values() if judged.verdict.kind is Kind.EQUIVALENT]
    central = [named(findings.study, judged.arm) for judged in same if judged.verdict.central]
    near = [named(findings.study, judged.arm) for judged in same if not judged.verdict.central]
    parts = []
    if central:
        parts.append(f"EQUIVALENT stands even then for {listing(central)}, with mean and spread within half the margin")
    if near:
        parts.append(f"EQUIVALENT rests on symmetric differences for {listing(near)}, beyond half the margin")
    return "".join(f"; {part}" for part in parts)
