"""Trunks: training that the arms of a seed share, done once. All arms of the seed start from its weights.

Enters: finished runs of trunks. Leaves: for each a folder `<output_dir>/trunks/<identity>` in the layout of a run
folder, which `start=run:FOLDER` reads. Its content is equal on all machines, because its hash is part of the arms'
identity.
"""

import tempfile
from pathlib import Path

import torch
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.config.errors import InputError
from bertlab.sweep.run import Job
from bertlab.tracking.artifacts import check_left
from bertlab.tracking.description import Identity
from bertlab.tracking.run_folder import CONFIG, MODEL, run_folder_of
from bertlab.tracking.saved_model import fetch

NAME, FOLDER = "trunk", "trunks"
SEEDS = 2000  # added to an arm's seed: a trunk reads the text in another order than the arms after it


def trunk_folder(output_dir: str | Path, identity: Identity) -> Path:
    """Return the folder of a trunk's weights, as an absolute path: jobs run in other directories."""
    made = run_folder_of(output_dir, identity.key, identity.code, identity.made_in).folder.name
    return (Path(output_dir) / FOLDER / made).absolute()


def bring_weights(client: MlflowClient, run: Run, folder: Path) -> None:
    """Copy the weights of a finished trunk to a folder. Raises InputError for missing or damaged weights."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            whole = Path(place) / folder.name
            whole.mkdir()
            model = fetch(client, run.info.run_id, whole).config["model"]
            (whole / CONFIG).write_text(yaml.safe_dump({"model": model}), "utf-8")
            whole.rename(folder)
    check_left(run, folder, (MODEL,), f"remove {folder}")


def check_fits(name: str, arm: Job, trunk: Job) -> None:
    """Raise InputError for an arm whose model does not fit its trunk's weights."""
    if (own := _shapes(arm)) != (common := _shapes(trunk)):
        other = sorted(key for key in own.keys() | common.keys() if own.get(key) != common.get(key))
        raise InputError(
            f"study.{name} must have the weights of study.trunk, got {other[0]} that differs; set start.missing=init "
            "in the study file, outside of `study`, to have these parts start from new; or leave the change out"
        )


def _shapes(job: Job) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):  # no memory for weights
        return {name: tuple(value.shape) for name, value in job.build_model().state_dict().items()}
