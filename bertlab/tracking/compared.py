"""What a run was made of, as far as the store says: its configuration, its data, its code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from bertlab.errors import InputError
from bertlab.tracking.stored import find_run

CONFIG = "config.yaml"  # an artifact of every run


@dataclass(frozen=True)
class Origin:
    """What a result depends on."""

    name: str  # to be shown
    config: Mapping[str, Any]
    data: str  # fingerprint
    code: str  # fingerprint
    key: str  # of configuration and data
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
    if not isinstance(config, Mapping):
        raise InputError(f"run={run} must have kept its configuration, got {run_id} with a damaged {CONFIG}")
    data, code, key = (tags.get(f"bertlab.{name}", "unknown") for name in ("corpus", "code", "key"))
    name = f"{found.info.run_name} ({run_id}, {found.info.status.lower()})"
    return Origin(name, config, data, code, key, found.info.status == "FINISHED")
