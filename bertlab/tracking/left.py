"""What a run left in a store, checked before it is read.

A finished run left the SHA-256 of each of its files. One that is not finished left a hash of its settings alone.
"""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bertlab.config.cache import digest
from bertlab.config.errors import InputError
from bertlab.ledger.files import DAMAGE
from bertlab.ledger.run_folder import CONFIG, MODEL
from bertlab.tracking.artifacts import fetched, unlike
from bertlab.tracking.description import FILES, SETTINGS
from bertlab.tracking.models import weights_uri

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

MEND = "name another run, or bertlab sync where the run's own files are"


def copy_left(client: "MlflowClient", run: "Run", names: Sequence[str], folder: Path) -> None:
    """Copy files of a run, and the folder of its weights, from a store. Raises InputError for what cannot be had."""
    from mlflow.exceptions import MlflowException

    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            uri = weights_uri(client, run) if name == MODEL else f"{run.info.artifact_uri}/{name}"
            with fetched(client, uri) as there:
                (shutil.copytree if there.is_dir() else shutil.copyfile)(there, folder / name)
        except (MlflowException, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"run={run.info.run_id} must have kept its {name} in the store, got none: {reason}; {MEND}"
            ) from error


def check_left(run: "Run", folder: Path, kept: Sequence[str], remedy: str) -> None:
    """Compare files and folders of a run, copied from a store, with what the run says that it left.

    Raises InputError, which ends in the `remedy`, for a file that is damaged, that is absent or that the run never had.
    """
    tags = run.data.tags
    if FILES in tags:
        wrong = unlike(folder, _expected(tags[FILES], folder, kept))
    elif SETTINGS in tags:
        wrong = None if _settings_hash(folder / CONFIG) == tags[SETTINGS] else CONFIG
    else:
        log.warning("run %s did not say what its files are; they are not checked", run.info.run_id)
        return
    if wrong:
        raise InputError(
            f"run={run.info.run_id} must have the files that it left, got another {wrong} in the store; "
            f"bertlab sync mends it where the run's own files are, else {remedy}"
        )


def read_config(path: Path, run_id: str) -> Mapping[str, Any]:
    """Return the settings in a run's config.yaml. Raises InputError for a file that is damaged."""
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (*DAMAGE, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"run={run_id} must have kept its {CONFIG}, got a damaged one: {reason}; {MEND}") from error
    if not isinstance(config, Mapping):
        raise InputError(f"run={run_id} must have kept its {CONFIG}, got one without settings; {MEND}")
    return config


def _expected(text: str, folder: Path, kept: Sequence[str]) -> dict[str, str]:
    """Return the hashes of what was copied, and of what the run left under the same names; "" where there is none."""
    copied = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    try:
        left = {str(name): str(own) for name, own in json.loads(text).items()}
    except (*DAMAGE, AttributeError):
        left = {}
    names = [name for name in (*copied, *left) if name.split("/")[0] in kept]
    return {name: left.get(name, "") for name in names} or {FILES: ""}


def _settings_hash(path: Path) -> str | None:
    try:
        return digest(yaml.safe_load(path.read_text("utf-8")))
    except (*DAMAGE, yaml.YAMLError):
        return None
