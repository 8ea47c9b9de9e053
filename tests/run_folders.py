"""A finished run without training: the content of a cell after a successful run."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from bertlab.tracking.metrics import MetricsFile
from bertlab.tracking.run_folder import CONFIG, FINISHED, ORIGIN, POINTS, RECORD, STATE, RunFolder


def finished(cell: RunFolder, description: Mapping[str, Any] | None = None, config: str = "seed: 0\n") -> RunFolder:
    """Write the files of a finished run, with weights, and return the cell as the next process finds it."""
    with cell.held():
        cell.begin(description=description or {"name": "a run"}, place="store", parent="sweep", run_id="7")
        (cell.folder / CONFIG).write_text(config)
        (cell.folder / ORIGIN).write_text("{}\n")
        points = MetricsFile(cell.folder / POINTS)
        points.add(1, {"eval/mlm_loss": 0.5})
        (cell.folder / "model").mkdir()
        (cell.folder / "model" / "model.safetensors").write_bytes(b"weights")
        (cell.folder / "model" / "tokenizer.json").write_bytes(b"{}")
        cell.finish(points.sync(), outcome="loss 0.5", diverged=False)
        cell.end(FINISHED)
    return RunFolder(cell.folder)


def unsealed(cell: RunFolder) -> RunFolder:
    """Write the files of a run from before there were seals, and return the cell."""
    cell.folder.mkdir(parents=True)
    points = b'{"step": 1, "time": 5, "numbers": {"eval/mlm_loss": 0.5}}\n'
    (cell.folder / POINTS).write_bytes(points)
    (cell.folder / CONFIG).write_text("seed: 0\n")
    process = {"status": FINISHED, "pid": 1, "host": "h", "ended": 7}
    state = {"token": "t", "started": 5, **process, "description": {"name": "old"}, "place": "store", "run_id": "7"}
    (cell.folder / STATE).write_text(json.dumps({**state, "experiment": "e", "parent": None}, indent=1) + "\n")
    mark = {"size": len(points), "sha256": sha256(points).hexdigest()}
    record = {"key": cell.key, "code": cell.code, "points": mark, "weights": None, "outcome": "", "diverged": False}
    (cell.folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return cell
