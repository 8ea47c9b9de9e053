"""What a run was made of, as far as the store says: its configuration, its data, its code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.tracking import MlflowClient

from bertlab.config.errors import InputError
from bertlab.ledger.files import DAMAGE
from bertlab.ledger.run_folder import CONFIG, ORIGIN
from bertlab.tracking.description import Identity, identity_of
from bertlab.tracking.left import MEND, check_left, copy_left, read_config
from bertlab.tracking.stored import find_run


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
    """Return what the run was made of, by its id, how only one id begins, or latest.

    Raises InputError for a run that is not there, or whose files are not those that it left.
    """
    found = find_run(client, run)
    run_id, tags = found.info.run_id, found.data.tags
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        recorded = any(one.path == ORIGIN for one in client.list_artifacts(run_id))
        copy_left(client, found, (CONFIG, ORIGIN) if recorded else (CONFIG,), folder)
        check_left(found, folder, (CONFIG, ORIGIN), "name another run")
        config = read_config(folder / CONFIG, run_id)
        modules = _modules(folder / ORIGIN, run_id)
    name = f"{found.info.run_name} ({run_id}, {found.info.status.lower()})"
    data, finished = tags.get("bertlab.corpus", "unknown"), found.info.status == "FINISHED"
    return Origin(name, config, data, identity_of(tags), modules, finished)


def _modules(path: Path, run_id: str) -> Mapping[str, str]:
    """Return the hashes of the code that a run used; none where it recorded none. Raises InputError for damage."""
    if not path.is_file():
        return {}
    try:
        return {str(name): str(own) for name, own in json.loads(path.read_text("utf-8"))["code"].items()}
    except (*DAMAGE, AttributeError) as error:
        raise InputError(f"run={run_id} must have kept its {ORIGIN}, got a damaged one in the store; {MEND}") from error
