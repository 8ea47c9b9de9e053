"""Sweeps that ran offline: what their folders say -> parent runs in a store."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

from bertlab.ledger.files import read_json
from bertlab.ledger.run_folder import SWEEP, UNSENT, Cell
from bertlab.tracking.description import PARENT, SWEEP_KEY
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parents import find_parent
from bertlab.tracking.retry import created, find_token
from bertlab.tracking.table import adopt

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SyncedSweep:
    """A sweep that is in the store now; `local` is the id that it had on disk."""

    folder: Path
    about: Mapping[str, Any]
    client: MlflowClient
    experiment_id: str
    run_id: str

    @property
    def local(self) -> str:
        """The id on disk."""
        return str(self.about["id"])

    def close(self, cells: Sequence[Cell]) -> None:
        """Take in the runs that other sweeps made, add the report, and set the status."""
        by_name = {cell.folder.name: cell for cell in cells}
        for name, seen in self.about.get("cells", {}).items():
            token = by_name[name].state().get("token") if name in by_name else None
            run = find_token(self.client, self.experiment_id, token) if token else None
            if run and run.data.tags.get(PARENT) != self.run_id:
                adopt(self.client, self.run_id, run, seen)
        self.client.set_terminated(self.run_id, self.about["status"], end_time=self.about.get("ended"))
        (self.folder / UNSENT).unlink(missing_ok=True)


def open_sweeps(output_dir: Path, uri: str | None, experiment: str | None) -> list[SyncedSweep]:
    """Make or find the parent runs of the sweeps of a folder."""
    folders = [path.parent for path in sorted((output_dir / "sweeps").glob(f"*/{SWEEP}"))]
    return [sweep for folder in folders if (sweep := open_sweep(folder, uri, experiment))]


def open_sweep(folder: Path, uri: str | None, experiment: str | None) -> SyncedSweep | None:
    """Make or find the parent run of one sweep; None where its file is damaged, which is said."""
    about = read_json(folder / SWEEP)
    if not about:
        log.warning("%s is damaged, its sweep is left out", folder / SWEEP)
        return None
    tracker = Tracker(uri=uri, experiment=experiment or about["experiment"])
    client = tracker.connect()
    experiment_id = tracker.experiment_id(client)
    key = about["tags"].get(SWEEP_KEY)
    run = (find_parent(client, experiment_id, key) if key else None) or created(
        client, experiment_id, about["id"], about["name"], about["tags"], about["started"]
    )
    return SyncedSweep(folder, about, client, experiment_id, run.info.run_id)
