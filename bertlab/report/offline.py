"""The report of a sweep that ran without a store: the same table, made from what the cells on disk hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bertlab.ledger.cell import FINISHED, POINTS, Cell
from bertlab.ledger.points import read_points
from bertlab.report.gather import FROM_RUNS
from bertlab.report.table import RunTable
from bertlab.report.write import write_report
from bertlab.tracking.description import Description

TOKENS = "perf/tokens"


def report_cells(cells: Sequence[tuple[Cell, Description]], sweep: Mapping[str, Any], folder: Path) -> Path:
    """Write the report of some finished cells into `folder` and return the path of report.md."""
    facts = {"title": sweep["name"], "command": sweep["tags"]["bertlab.command"]}
    facts["factors"] = sweep["tags"]["bertlab.factors"]
    tags = [description.tags for _, description in cells]
    stated = {name: " | ".join(sorted({own[f"bertlab.{tag}"] for own in tags})) for name, tag in FROM_RUNS.items()}
    curves = pd.DataFrame(
        [row for cell, _ in cells for row in _curve(cell)], columns=["run_id", "metric", "step", "tokens", "value"]
    )
    table = RunTable(pd.DataFrame([_row(cell, own) for cell, own in cells]), curves, {**stated, **facts})
    return write_report(table, folder)


def _row(cell: Cell, description: Description) -> dict[str, object]:
    row: dict[str, object] = {"run_id": cell.state()["token"], "name": description.name, "status": FINISHED}
    tags = {**description.tags, **cell.state().get("tags", {}), "bertlab.kind": "run"}
    row |= {f"params.{name}": text for name, text in description.params.items()}
    row |= {f"tags.{name}": text for name, text in tags.items() if name.startswith("bertlab.")}
    return row | {
        f"metrics.{name}": value for point in _points(cell) for name, value in point.items() if name != "step"
    }


def _curve(cell: Cell) -> list[tuple[object, ...]]:
    token, points = cell.state()["token"], _points(cell)
    tokens = {point["step"]: point[TOKENS] for point in points if TOKENS in point}
    return [
        (token, name, point["step"], tokens.get(point["step"]), value)
        for point in points
        for name, value in point.items()
        if name.startswith(("train/", "eval/"))
    ]


def _points(cell: Cell) -> list[dict[str, Any]]:
    return [{"step": point.step, **point.numbers} for point in read_points(cell.folder / POINTS)[0]]
