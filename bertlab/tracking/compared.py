"""What a run was made of, as far as the store says: its configuration, its data, its code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from bertlab.errors import InputError
from bertlab.tracking.description import Identity, identity_of
from bertlab.tracking.stored import find_run

CONFIG, ORIGIN = "config.yaml", "origin.json"  # artifacts of every run, the second of later ones


@dataclass(frozen=True)
class Origin:
    """What a result depends on."""

    name: str  # to be shown
    config: Mapping[str, Any]
    data: str  # fingerprint
    identity: Identity
    modules: Mapping[str, str]  # hashes of the code that it uses, by module; none where they were not recorded
    finished: bool


def origin_of(client: MlflowClient, run: str) -> Origin:
    """Return what the run was made of, by its id, how only one id begins, or latest. Raises InputError."""
    found = find_run(client, run)
    run_id, tags = found.info.run_id, found.data.tags
    with TemporaryDirectory() as folder:
        try:
            config = yaml.safe_load(Path(client.download_artifacts(run_id, CONFIG, folder)).read_text("utf-8"))
        except (MlflowException, OSError, ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"run={run} must have kept its configuration, got {run_id}: {reason}") from error
        modules = _modules(client, run_id, folder)
    if not isinstance(config, Mapping):
        raise InputError(f"run={run} must have kept its configuration, got {run_id} with a damaged {CONFIG}")
    name = f"{found.info.run_name} ({run_id}, {found.info.status.lower()})"
    data, finished = tags.get("bertlab.corpus", "unknown"), found.info.status == "FINISHED"
    return Origin(name, config, data, identity_of(tags), modules, finished)


def _modules(client: MlflowClient, run_id: str, folder: str) -> Mapping[str, str]:
    """Return the hashes of the code that a run used; none where it left none that can be read."""
    try:
        return dict(json.loads(Path(client.download_artifacts(run_id, ORIGIN, folder)).read_text("utf-8"))["code"])
    except (MlflowException, OSError, ValueError, KeyError, TypeError):
        return {}
