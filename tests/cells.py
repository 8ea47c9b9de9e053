"""A finished run without a training: what a cell holds when a run has ended well."""

from bertlab.ledger.cell import CONFIG, FINISHED, POINTS, Cell
from bertlab.ledger.points import Points


def finished(cell: Cell) -> Cell:
    """Leave what a finished run leaves, weights included, and return the cell as the next process finds it."""
    with cell.held():
        cell.begin(description={"name": "a run"}, place="store", parent="sweep", run_id="7")
        (cell.folder / CONFIG).write_text("seed: 0\n", "utf-8")
        points = Points(cell.folder / POINTS)
        points.add(1, {"eval/mlm_loss": 0.5})
        (cell.folder / "model").mkdir()
        (cell.folder / "model" / "model.safetensors").write_bytes(b"weights")
        cell.finish(points.sync(), outcome="loss 0.5", diverged=False)
        cell.end(FINISHED)
    return Cell(cell.folder)
