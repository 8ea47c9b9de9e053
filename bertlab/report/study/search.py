"""The search for the best value of a setting: results of every arm at every value, and the chosen values.

Enters: `Findings`. Leaves: a markdown section, "" for a study without a search.
"""

from bertlab.report.settings import setting_of
from bertlab.report.study.names import named
from bertlab.report.study.scale import outcome_scale
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, listing, plural
from bertlab.study.judge import Findings
from bertlab.study.search import best_values, mean_outcome, trial, tried_values, tuned


def search(findings: Findings) -> str:
    """Show the trials, the best value of each arm in bold."""
    study = findings.record.registered
    if study.search is None:
        return ""
    scale, runs = outcome_scale(findings), findings.record.runs
    best, tried, rows = best_values(study, runs), by_arm(findings), []
    columns = sorted({value for values in tried.values() for value in values})
    for arm in study.arms:
        means = {value: mean_outcome(study, runs, trial(arm, value)) for value in tried[arm]}
        shown = {value: "diverged" if mean is None else scale.value(mean) for value, mean in means.items()}
        cells = {value: shown.get(value, DASH) for value in columns}
        rows.append([escape(arm), *(f"**{text}**" if value == best[arm] else text for value, text in cells.items())])
    setting, common = escape(setting_of(study.search.setting).words), best[study.baseline]
    text = (
        f"Every arm was tried at {count(len(study.search.values))} values of the {setting} "
        f"({escape(study.search.setting)}) on {plural(study.search.seeds, 'seed')} "
        f"that no contrast uses, and the one with the best mean is its own. The contrasts compare arms at {common:g}, "
        f"the baseline's best; {escape(tuned('<arm>'))} is an arm at its own best, against the best of what it is "
        f"compared with, and stands in the table of contrasts where that is another comparison."
    )
    if len(columns) > len(study.search.values):
        text += " An arm that was best at an end of what it had been tried at was tried beyond it, by the same step."
    header = ["arm", *(f"{value:g}" for value in columns)]
    title = f"## The search for the {setting} ({escape(study.outcome)}, {scale.unit})"
    return "\n\n".join(filter(None, [title, Table(header, rows).markdown(), text, at_the_end(findings)]))


def by_arm(findings: Findings) -> dict[str, list[float]]:
    """Return the values tried for each arm, ascending."""
    study = findings.record.registered
    return {arm: tried_values(study, findings.record.runs, arm) for arm in study.arms}


def at_the_end(findings: Findings) -> str:
    """Name the arms whose best value may be outside the tried range."""
    tried, best = by_arm(findings), best_values(findings.record.registered, findings.record.runs)
    ends = {arm: value for arm, value in best.items() if value in (tried[arm][0], tried[arm][-1])}
    if not ends:
        return ""
    arms = listing(f"{named(findings.study, arm)} ({value:g})" for arm, value in ends.items())
    return f"At an end of what was tried lies the best value of {arms}: one beyond it may be better."
