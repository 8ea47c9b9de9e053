"""The report of a sweep that ran without a store: the same table, made from what the cells on disk hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bertlab.config.redact import redacted
from bertlab.ledger.cell import FINISHED, POINTS, Cell
from bertlab.ledger.points import Point, read_points
from bertlab.report.gather import FROM_RUNS
from bertlab.report.run_table import RunTable
from bertlab.report.write import write_report
from bertlab.tracking.curves import curves_of, joined
from bertlab.tracking.description import Description


def report_cells(cells: Sequence[tuple[Cell, Description]], sweep: Mapping[str, Any], folder: Path) -> Path:
    """Write the report of some finished cells into `folder` and return the path of report.md."""
    facts = {"title": sweep["name"], "command": redacted(sweep["tags"]["bertlab.command"])}
    facts["factors"] = sweep["tags"]["bertlab.factors"]
    tags = [description.tags for _, description in cells]
    found = {
        name: {own[f"bertlab.{tag}"] for own in tags if f"bertlab.{tag}" in own} for name, tag in FROM_RUNS.items()
    }
    stated = {name: " | ".join(sorted(texts)) for name, texts in found.items() if texts}
    points = {cell.state()["token"]: read_points(cell.folder / POINTS)[0] for cell, _ in cells}
    runs = pd.DataFrame([_row(cell, own, points[cell.state()["token"]]) for cell, own in cells])
    curves = {token: curves_of(own) for token, own in points.items()}
    return write_report(RunTable(runs, joined(curves), {**stated, **facts}), folder)


def _row(cell: Cell, description: Description, points: Sequence[Point]) -> dict[str, object]:
    row: dict[str, object] = {"run_id": cell.state()["token"], "name": description.name, "status": FINISHED}
    tags = {**description.tags, **cell.state().get("tags", {}), "bertlab.kind": "run"}
    row |= {f"params.{name}": text for name, text in description.params.items()}
    row |= {f"tags.{name}": text for name, text in tags.items() if name.startswith("bertlab.")}
    return row | {f"metrics.{name}": value for point in points for name, value in point.numbers.items()}
