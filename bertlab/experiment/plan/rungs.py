"""The plan of a ladder: each rung's cost, its chance of a decision, and the width of its predictions.

Enters: the study's file and overrides. Leaves: one `Planned` per rung. Chances and predictions use the finished rungs;
without a finished rung below there are none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.table import Table

from bertlab.config.compose import resolved
from bertlab.config.errors import InputError
from bertlab.experiment.plan.outlook import FAR, Prospect, measures, prospect
from bertlab.experiment.plan.runs import Runs, plan_runs
from bertlab.experiment.plan.tables import duration, table_of
from bertlab.report.ladder import between_shares
from bertlab.report.words import count, number
from bertlab.stats.looks import interval_level
from bertlab.study.arms import from_file
from bertlab.study.design import Study
from bertlab.study.ladder import FEWEST, Ladder, Prediction, predict, read_ladder
from bertlab.study.registration import read_study

Shown = str | Table


@dataclass(frozen=True)
class Planned:
    """A rung before it runs. `predicted`: 80 % intervals of its arms, or the registered ones."""

    runs: Runs
    predicted: Sequence[Prediction]
    prospect: Prospect | None  # by spread and slope of the nearest rung below; None if none has run


def ladder_of(study: str, overrides: Sequence[str]) -> dict[str, int]:
    """Return the rungs of a study with the seeds of each; empty for a study without rungs, and for a single rung."""
    found = read_study(resolved(from_file(study, *overrides)([])))
    return {} if found.rung else dict(found.ladder)


def plan_ladder(study: str, overrides: Sequence[str], seconds: float) -> Iterator[Planned]:
    """Plan each rung of a study as the next one; train for `seconds` at each to measure speed."""
    for rung in ladder_of(study, overrides):
        runs = plan_runs(study, [*overrides, f"rung={rung}"], seconds)
        there = read_ladder(runs.reports / study)
        below = replace(there or Ladder(runs.study, {}), study=runs.study).below(rung)
        known = [each for each in there.predictions if each.rung == rung] if there else []
        made = predict(below, rung, runs.costs[runs.study.baseline].flops, "") if len(below.rungs) >= FEWEST else []
        yield Planned(runs, known or made, _prospect(runs.study, below))


def _prospect(study: Study, below: Ladder) -> Prospect | None:
    """Return the chances of a decision if the rung is as noisy as the one below it."""
    if not below.rungs:
        return None
    try:
        scale = measures(study, below.highest, None, None)
    except InputError:
        return None
    (expects, *_) = study.expects.values()
    return prospect(study.looks[-1], scale.sds[0], scale.margin, interval_level(study.looks), expects)


def of_ladder(planned: Sequence[Planned]) -> Iterator[Shown]:
    """Yield the question and a table of the rungs."""
    study = planned[0].runs.study
    yield f"{study.question}\nClaim at every rung: {study.claim}\n"
    near, far = "decided at 0 m", f"at {FAR:g} m"
    table = table_of("rung", "seeds", "runs", "done", "M tokens", "time left", near, far, "predicted")
    for each in planned:
        sums = list(each.runs.until_each_look())[-1]
        own = each.runs.study
        chances = (f"{100 * each.prospect.near:.0f}", f"{100 * each.prospect.far:.0f}") if each.prospect else ("", "")
        said = "; ".join(f"{made.arm} {between_shares(made.low, made.high)}" for made in each.predicted)
        tokens, left = number(sums.tokens / 1e6, 1), duration(sums.seconds)
        table.add_row(own.rung, count(own.seeds), count(sums.runs), count(sums.finished), tokens, left, *chances, said)
    yield table
    yield (
        "Time left: all runs of the rung that are not finished, one after another unless the launcher runs several. "
        "Decided: chance in per cent if nothing or two margins (m) are true, by the noise of the rung below. "
        "Predicted, at 80 %: what an arm is worth in per cent of the tokens; it takes two rungs below. "
        f"python -m bertlab.plan study={study.id} rung=NAME plans one of them in full."
    )
