"""What limits a sweep's reading: one function per caveat, each silent (None) unless its condition holds.

Enters: a `Sweep`. Leaves: markdown sentences that carry the number they rest on.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from bertlab.report.run_table import as_number, free_params, natural, varies
from bertlab.report.settings import Sweep, distinct, final, is_numeric, run_label
from bertlab.report.words import count, escape, listing, number, plural
from bertlab.tracking.description import RESTARTS

BERT_STEPS, BERT_BATCH = 1_000_000, 128_000  # batch in tokens; Devlin et al. 2018, appendix A.2, arXiv:1810.04805
SMALL_REGIME = 0.1  # below this share of BERT's tokens the regime statement is printed
SAME_BUDGET = 0.01  # padding moves the token count a little; a larger relative spread is another budget


def one_seed(sweep: Sweep) -> str | None:
    """One seed per setting: no spread, hence no interval."""
    seeds = [len(setting.by_seed("eval/mlm_loss")) for setting in sweep.ranked]
    if not seeds or max(seeds) > 1:
        return None
    return (
        "**One seed per setting.** Another seed would move every loss in the table; with one seed per setting, nothing "
        "here tells a difference between settings from chance. From three seeds on, the intervals become useful."
    )


def on_plateau(sweep: Sweep) -> str | None:
    """Context gain below the floor: the model predicts from word frequency alone, so designs cannot differ."""
    below = below_floor(sweep)
    if below.empty:
        return None
    gains = [f"{_run(run)}: {number(run['metrics.eval/context_gain'])}" for _, run in below.iterrows()]
    return (
        f"**On the unigram plateau.** {count(len(below))} of {plural(len(sweep.counted), 'finished run')} gained less "
        f"than {number(floor(sweep), 2)} nats from context. Such a model has learnt little more than word frequencies, "
        f"and there every design looks alike: the comparison is empty. Context gain in nats: {'; '.join(gains)}."
    )


def unfinished(sweep: Sweep) -> str | None:
    """Runs without a result: listed with their outcome."""
    if sweep.lost.empty:
        return None
    runs = [f"{_run(run)}, {run['outcome']}" for _, run in sweep.lost.iterrows()]
    return (
        f"**Runs without a result:** {count(len(runs))} of {count(len(sweep.runs))}, which enter no mean: "
        f"{'; '.join(runs)}. Where the setting itself made a run fail, its mean looks better than it is."
    )


def incomplete_seeds(sweep: Sweep) -> str | None:
    """Settings that miss seeds: differences rest on the shared seeds only."""
    everywhere = set(sweep.runs["params.seed"])
    gaps = [
        f"{escape(setting.label)} lacks seed {listing(map(escape, missing))}"
        for setting in sweep.settings
        if (missing := sorted(everywhere - set(setting.by_seed("eval/mlm_loss").index), key=natural))
    ]
    if not gaps:
        return None
    return (
        f"**Seeds incomplete.** Of the {plural(len(everywhere), 'seed')} in this sweep, {'; '.join(gaps)}. Differences "
        "use only the seeds that a setting shares with the reference and need not equal the difference of means."
    )


def repeated_runs(sweep: Sweep) -> str | None:
    """Several finished runs of one setting and seed: averaged, counted once."""
    repeats = [
        f"{escape(setting.label)}, seed {escape(str(seed))}: {count(n)} runs"
        for setting in sweep.settings
        for seed, n in setting.counted["params.seed"].value_counts(sort=False).items()
        if n > 1
    ]
    if not repeats:
        return None
    return f"**Repeated runs.** They were averaged and count as one seed: {'; '.join(repeats)}."


def started_again(sweep: Sweep) -> str | None:
    """Finished runs whose process ended before they did, and that were started again."""
    times = sweep.counted.get(f"tags.{RESTARTS}", pd.Series(dtype=str)).map(as_number)
    again = sweep.counted.loc[times.index[times > 0]]
    if again.empty:
        return None
    rows = zip(again.iterrows(), times[times > 0], strict=True)
    runs = [f"{_run(run)}, {plural(int(often), 'time')}" for (_, run), often in rows]
    return (
        f"**Started again.** {count(len(again))} of {plural(len(sweep.counted), 'finished run')} lost the process that "
        f"trained it and went on from the newest checkpoint, or from the start where there was none: {'; '.join(runs)}."
    )


def mixed_settings(sweep: Sweep) -> str | None:
    """Parameters that differ inside a setting although nobody swept them."""
    params = free_params(sweep.runs)
    mixed = [column for column in params if any(varies(setting.runs, column) for setting in sweep.settings)]
    if not mixed:
        return None
    named = [f"{escape(column.removeprefix('params.'))} ({_values(sweep.runs, column)})" for column in mixed]
    return f"**Unlike runs in one setting.** These parameters differ although they were not swept: {'; '.join(named)}."


def fingerprints(sweep: Sweep) -> str | None:
    """Environment or corpus differ between runs, or code within a setting: the factor is not the only difference."""
    every, each = [sweep.runs], [setting.runs for setting in sweep.settings]
    kinds = {"code": each, "environment": every, "corpus": every}
    mixed = [
        f"{tag} ({_values(sweep.runs, f'tags.bertlab.{tag}')})"
        for tag, groups in kinds.items()
        if f"tags.bertlab.{tag}" in sweep.runs and any(varies(runs, f"tags.bertlab.{tag}") for runs in groups)
    ]
    if not mixed:
        return None
    return f"**Fingerprints differ between runs:** {listing(mixed)}. What changed may explain a difference in loss."


def corpora(sweep: Sweep) -> str | None:
    """Much of the corpus is unknown to the tokenizer, or known from training."""
    warning = sweep.facts.get("warning")
    return f"**The corpus weakens the comparison:** {escape(warning)}." if warning else None


def budgets(sweep: Sweep) -> str | None:
    """Runs saw different numbers of tokens."""
    tokens = final(sweep.counted, "perf/tokens").dropna()
    if tokens.empty or tokens.max() - tokens.min() <= SAME_BUDGET * tokens.max():
        return None
    return (
        f"**Different token budgets.** The runs saw between {count(tokens.min())} and {count(tokens.max())} tokens; "
        "a longer run has a lower loss whatever its setting."
    )


def edge(sweep: Sweep) -> str | None:
    """The best value of a numeric factor with three values or more is its smallest or largest."""
    if not sweep.ranked:
        return None
    notes = []
    for position, factor in enumerate(sweep.factors):
        values = distinct(sweep.runs, f"params.{factor}")
        best = sweep.ranked[0].values[position]
        if len(values) > 2 and is_numeric(values) and best in (values[0], values[-1]):
            notes.append(
                f"{escape(factor)}={escape(best)} is the {'smallest' if best == values[0] else 'largest'} value"
            )
    if not notes:
        return None
    return f"**Best at the edge of the grid.** {listing(notes)} that was tried; a better one may lie beyond."


def picked(sweep: Sweep) -> str | None:
    """The best of several settings was chosen after seeing the results."""
    if len(sweep.ranked) < 3:
        return None
    return (
        f"**Picked after looking.** The lowest of {count(len(sweep.ranked))} settings is in part the luckiest: expect "
        "its advantage to shrink when it is run again. Nothing in the table above allows for this choice."
    )


def training_losses(sweep: Sweep) -> str | None:
    """A mask parameter varies, so each setting trains on its own task."""
    masks = [column for column in sweep.runs.columns if column.startswith("params.mask")]
    varying = [column.removeprefix("params.") for column in masks if varies(sweep.runs, column)]
    if not varying:
        return None
    return (
        f"**Training losses are not comparable** between settings, because {escape(listing(varying))} "
        f"{'changes' if len(varying) == 1 else 'change'} what is predicted. Compare the evaluation loss, which scores "
        "the same positions for every run."
    )


def regime(sweep: Sweep) -> str | None:
    """Far fewer tokens than BERT saw."""
    tokens = final(sweep.counted, "perf/tokens").max()
    if not tokens > 0 or tokens >= SMALL_REGIME * BERT_STEPS * BERT_BATCH:
        return None
    return (
        f"**Small regime.** A run here saw at most {count(tokens)} tokens. BERT took {count(BERT_STEPS)} steps of "
        f"{count(BERT_BATCH)} tokens, about {count(float(f'{BERT_STEPS * BERT_BATCH / tokens:.2g}'))} times as many. "
        "The result is about this model, corpus and budget, not about BERT at its own size."
    )


CAVEATS: Sequence[Callable[[Sweep], str | None]] = (
    one_seed,
    on_plateau,
    unfinished,
    incomplete_seeds,
    repeated_runs,
    started_again,
    mixed_settings,
    fingerprints,
    corpora,
    budgets,
    edge,
    picked,
    training_losses,
    regime,
)


def floor(sweep: Sweep) -> float:
    """Return the context gain in nats below which a run counts as not having learnt from context."""
    return as_number(sweep.facts.get("floor", "0.8"))


def below_floor(sweep: Sweep) -> pd.DataFrame:
    """Return the finished runs whose context gain (unigram loss minus loss) lies below the floor."""
    return sweep.counted[final(sweep.counted, "eval/context_gain") < floor(sweep)]


def _run(run: Any) -> str:
    return escape(run_label(run))


def _values(runs: pd.DataFrame, column: str) -> str:
    return listing(escape(value) for value in distinct(runs, column)) or "none"
