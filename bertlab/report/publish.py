"""The report of a sweep on its parent run in a store: files, one page to read, and the result at a glance."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.report.html import page
from bertlab.report.run_table import RunTable, canonical, free_params, varies
from bertlab.report.sections import result
from bertlab.report.settings import LOSS, Sweep, distinct, sweep_of
from bertlab.report.tables import results
from bertlab.tracking.description import NOTE, TEXT_LIMIT

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PAGE = "report/report.html"
READ = f"The whole report: *Artifacts*, `{PAGE}`."


def publish_sweep(client: "MlflowClient", run_id: str, table: RunTable, folder: Path) -> None:
    """Attach the report that lies in `folder`, and show its result on top of the sweep's run. Twice does no harm."""
    sweep = sweep_of(canonical(table))
    client.log_artifacts(run_id, str(folder), "report")
    client.log_text(run_id, page((folder / "report.md").read_text("utf-8"), folder), PAGE)
    client.set_tag(run_id, NOTE, "\n\n".join([result(sweep), results(sweep), READ])[:TEXT_LIMIT])
    log_settings(client, run_id, settings(sweep))
    log_numbers(client, run_id, numbers(sweep))


def log_settings(client: "MlflowClient", run_id: str, settings: Mapping[str, str]) -> None:
    """Log parameters that are not there; a store lets each be written once."""
    there = client.get_run(run_id).data.params
    for name, text in settings.items():
        if name not in there:
            client.log_param(run_id, name, text[:TEXT_LIMIT])


def log_numbers(client: "MlflowClient", run_id: str, numbers: Mapping[str, float], step: int = 0) -> None:
    """Log metrics, at one time always, so that what is sent again is the same point; a later `step` counts instead."""
    started = client.get_run(run_id).info.start_time
    for name, value in numbers.items():
        client.log_metric(run_id, name, value, timestamp=started, step=step)


def settings(sweep: Sweep) -> dict[str, str]:
    """Return the parameters that all runs share, the values of those that were swept, and the best setting."""
    runs, swept = sweep.runs, [f"params.{factor}" for factor in (*sweep.factors, "seed")]
    shared = [column for column in free_params(runs) if not varies(runs, column) and runs[column].iloc[0]]
    found = {column: ", ".join(distinct(runs, column)) for column in [*swept, *shared]}
    best = {"best": sweep.ranked[0].label} if len(sweep.ranked) > 1 else {}
    return {**{column.removeprefix("params."): text for column, text in found.items()}, **best}


def numbers(sweep: Sweep) -> dict[str, float]:
    """Return how many runs there are, and the mean loss over seeds of the best and of the worst setting."""
    counts = {"runs": float(len(sweep.runs)), "finished": float(len(sweep.counted))}
    means = [setting.mean() for setting in sweep.ranked]
    return {**counts, **({f"best/{LOSS}": means[0], f"worst/{LOSS}": means[-1]} if means else {})}
