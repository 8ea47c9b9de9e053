"""Gathering: runs of an MLflow store or run folders -> the record of a sweep, its page, and the sweep's own run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bertlab.config.redact import redacted
from bertlab.identity.text_and_scoring import REGIME
from bertlab.report.study.publish import publish_study
from bertlab.report.study.write import write_study
from bertlab.study.exploration import explored
from bertlab.study.judge import judge
from bertlab.study.record import Record
from bertlab.study.regime import UNKNOWN, Regime, read_regime
from bertlab.tracking.description import Description
from bertlab.tracking.metrics import Point, read_points
from bertlab.tracking.parent_runs import children
from bertlab.tracking.run_folder import FINISHED, POINTS, RunFolder
from bertlab.tracking.runs_table import curves_of, joined, read_runs_table

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

FROM_RUNS = {"corpus": "data", "licence": "licence", "evaluation": "evaluation"}  # facts, by their tags
FACTORS = "bertlab.factors"  # tag of a sweep: its factors, separated by spaces
FROM_RUNS |= {name: name for name in ("unknown", "overlap", "warning")}


def report_sweep(client: "MlflowClient", sweep: "Run", folder: Path, output_dir: str | Path) -> Path:
    """Write the report of a sweep into `folder` and attach it to the sweep's run; return the path of its page.

    Results of runs with files in `output_dir` are read from these files.
    """
    tags = sweep.data.tags
    facts = _facts(sweep.info.run_name, tags)
    record = gather(client, children(client, sweep), facts, output_dir, tags[FACTORS].split())
    findings = judge(record)
    page = write_study(findings, folder)
    publish_study(client, sweep.info.run_id, findings, page)
    return page


def gather(
    client: "MlflowClient",
    runs: "Sequence[Run]",
    facts: Mapping[str, str],
    output_dir: str | Path,
    factors: Sequence[str] | None = None,
) -> Record:
    """Return the record of some runs; `facts` has at least title and command, the rest comes from the runs."""
    truth, tags = read_runs_table(client, runs, output_dir), [run.data.tags for run in runs]
    return explored(truth.runs, truth.curves, {**_stated(tags), **facts}, factors, regime_of(tags))


def report_cells(cells: Sequence[tuple[RunFolder, Description]], sweep: Mapping[str, Any], folder: Path) -> Path:
    """Write the report of finished run folders, without a store, into `folder`; return the path of its page."""
    tags = [description.tags for _, description in cells]
    facts, factors = _stated(tags) | _facts(sweep["name"], sweep["tags"]), sweep["tags"][FACTORS].split()
    points = {cell.state()["token"]: read_points(cell.folder / POINTS)[0] for cell, _ in cells}
    runs = pd.DataFrame([_row(cell, own, points[cell.state()["token"]]) for cell, own in cells])
    curves = joined({token: curves_of(own) for token, own in points.items()})
    return write_study(judge(explored(runs, curves, facts, factors, regime_of(tags))), folder)


def _facts(name: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {"title": name, "command": redacted(tags["bertlab.command"])}


def _stated(runs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return facts from the tags of some runs."""
    found = {
        name: {own[f"bertlab.{tag}"] for own in runs if f"bertlab.{tag}" in own} for name, tag in FROM_RUNS.items()
    }
    return {name: " | ".join(sorted(texts)) for name, texts in found.items() if texts}


def regime_of(runs: Sequence[Mapping[str, str]]) -> Regime:
    """Return what all runs read and are scored on, from their tags; nothing if they differ, or do not state it."""
    texts = {own.get(REGIME, "") for own in runs}
    return read_regime(json.loads(text)) if len(texts) == 1 and (text := texts.pop()) else UNKNOWN


def _row(cell: RunFolder, description: Description, points: Sequence[Point]) -> dict[str, object]:
    row: dict[str, object] = {"run_id": cell.state()["token"], "name": description.name, "status": FINISHED}
    tags = {**description.tags, **cell.state().get("tags", {}), "bertlab.kind": "run"}
    row |= {f"params.{name}": text for name, text in description.params.items()}
    row |= {f"tags.{name}": text for name, text in tags.items() if name.startswith("bertlab.")}
    return row | {f"metrics.{name}": value for point in points for name, value in point.numbers.items()}
