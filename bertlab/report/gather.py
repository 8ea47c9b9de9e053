"""Gathering: runs of an MLflow store -> the table that a report is made of, and the report on the parent run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.config.redact import redacted
from bertlab.report.publish import publish_sweep
from bertlab.report.run_table import RunTable
from bertlab.report.write import write_report
from bertlab.tracking.table import children
from bertlab.tracking.truth import truth_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

FROM_RUNS = {"corpus": "data", "licence": "licence", "evaluation": "evaluation", "length": "length"}
FROM_RUNS |= {name: name for name in ("unknown", "overlap", "warning")}


def report_sweep(client: "MlflowClient", sweep: "Run", folder: Path, output_dir: str | Path) -> Path:
    """Write the report of a sweep into `folder` and attach it to the sweep's run; return the path of report.md.

    What runs reached whose files lie in `output_dir` is read from those.
    """
    facts = {"title": sweep.info.run_name, "command": redacted(sweep.data.tags["bertlab.command"])}
    facts["factors"] = sweep.data.tags["bertlab.factors"]
    table = gather(client, children(client, sweep), facts, output_dir)
    report = write_report(table, folder)
    publish_sweep(client, sweep.info.run_id, table, folder)
    return report


def gather(client: "MlflowClient", runs: "Sequence[Run]", facts: dict[str, str], output_dir: str | Path) -> RunTable:
    """Return the table of some runs; `facts` holds at least title and command, the rest comes from the runs."""
    stated = {name: _joined(runs, f"bertlab.{tag}") for name, tag in FROM_RUNS.items()}
    known = {name: text for name, text in stated.items() if text}
    truth = truth_of(client, runs, output_dir)
    return RunTable(truth.runs, truth.curves, {**known, **facts})


def _joined(runs: "Sequence[Run]", tag: str) -> str:
    return " | ".join(sorted({run.data.tags[tag] for run in runs if tag in run.data.tags}))
