"""Artifacts of a run in a store: found by the run's id, copied, and checked before they are read.

Enters: a client of a store, and a run or the beginning of its id. Leaves: files, settings, and what the result depends
on. A finished run recorded the SHA-256 of each of its files, an unfinished one only a hash of its settings. Weights are
a logged model of MLflow; servers before MLflow 3 have none, and there the weights are artifacts in the folder `model`.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from bertlab.config.cache import digest
from bertlab.config.errors import InputError
from bertlab.tracking.description import FILES, KIND, SETTINGS, Identity, identity_of
from bertlab.tracking.files import DAMAGE, file_hash, is_plain
from bertlab.tracking.run_folder import CONFIG, MODEL, ORIGIN

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

LATEST = "latest"  # the newest run
UNKNOWN = {"ENDPOINT_NOT_FOUND", "NOT_FOUND", "NOT_IMPLEMENTED"}  # error codes of a server for an unknown address
READY: Final = "READY"  # status of a logged model
MEND = "name another run, or bertlab sync where the run's own files are"


class Listed(NamedTuple):
    """An artifact: its name in its folder, and its size in bytes (None for a folder)."""

    name: str
    size: int | None


@contextmanager
def fetched(client: "MlflowClient", uri: str) -> Iterator[Path]:
    """Yield a file or folder of artifacts, or a copy if it is remote. Each kind of storage raises its own errors."""
    from mlflow.artifacts import download_artifacts

    if uri.startswith(("file:", "/")):
        yield Path(download_artifacts(uri, tracking_uri=client.tracking_uri))
        return
    with TemporaryDirectory() as folder:
        yield Path(download_artifacts(uri, tracking_uri=client.tracking_uri, dst_path=folder))


def holds(client: "MlflowClient", uri: str, folder: Path) -> bool:
    """Return whether a folder of artifacts has exactly the files of a folder. Reads only if names and sizes agree."""
    files = [path for path in folder.glob("*") if path.is_file()]
    sizes = {path.name: path.stat().st_size for path in files}
    if not sizes.items() <= {found.name: found.size for found in listed(client, uri)}.items():
        return False
    with fetched(client, uri) as there:
        return unlike(there, {path.name: file_hash(path) for path in files}) is None


def listed(client: "MlflowClient", uri: str) -> list[Listed]:
    """Return the content of a folder of artifacts; empty if there is no such folder."""
    from mlflow.artifacts import list_artifacts

    return [
        Listed(PurePosixPath(found.path).name, found.file_size)
        for found in list_artifacts(uri, tracking_uri=client.tracking_uri)
    ]


def unlike(folder: Path, files: Mapping[str, str]) -> str | None:
    """Return the first of some files, given with their SHA-256, that differs in a folder or is missing there."""
    wrong = (name for name, own in sorted(files.items()) if not _is(folder / name, own))
    return next(wrong, None)


def _is(path: Path, own: str) -> bool:
    return is_plain(path) and file_hash(path) == own


def find_run(client: "MlflowClient", name: str) -> "Run":
    """Return the only run that `name` matches, in any experiment. Raises InputError."""
    wanted = f"tags.`{KIND}` = 'run'"
    if name != LATEST:
        wanted += f" and attributes.run_id LIKE '{name}%'"
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    order = ["attributes.start_time DESC"]
    found = client.search_runs(experiments, wanted, order_by=order, max_results=2) if name.isalnum() else []
    if not found or (len(found) > 1 and name != LATEST):
        count = "several" if found else "none"
        raise InputError(
            f"run={name} must be the id of one run in the store, or the beginning of only one, got {count}; MLflow's "
            f"UI shows the ids, and run={LATEST} is the newest run"
        )
    run: Run = found[0]
    return run


def find_model(client: "MlflowClient", run: "Run") -> "LoggedModel | None":
    """Return the logged model of a run, if it has one. Raises LookupError if the server does not support them."""
    from mlflow.exceptions import MlflowException

    wanted = f"source_run_id = '{run.info.run_id}'"
    try:
        found = client.search_logged_models([run.info.experiment_id], wanted, max_results=1)
    except MlflowException as error:
        if error.error_code in UNKNOWN:
            raise LookupError("the server has no logged models") from error
        raise
    return found[0] if found else None


def weights_uri(client: "MlflowClient", run: "Run") -> str:
    """Return where the weights of a run are in a store, if it kept them."""
    try:
        model = find_model(client, run)
    except LookupError:
        model = None
    return str(model.artifact_location) if model and model.status == READY else f"{run.info.artifact_uri}/{MODEL}"


def copy_left(client: "MlflowClient", run: "Run", names: Sequence[str], folder: Path) -> None:
    """Copy files of a run, and the folder of its weights, from a store. Raises InputError for what is not available."""
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
    """Compare files and folders of a run, copied from a store, with the hashes that the run recorded.

    Raises InputError, ending in `remedy`, for a file that is damaged or missing or that the run never had.
    """
    tags = run.data.tags
    if FILES in tags:
        wrong = unlike(folder, _expected(tags[FILES], folder, kept))
    elif SETTINGS in tags:
        wrong = None if _settings_hash(folder / CONFIG) == tags[SETTINGS] else CONFIG
    else:
        log.warning("run %s has no hashes of its files; they are not checked", run.info.run_id)
        return
    if wrong:
        raise InputError(
            f"run={run.info.run_id} must have the files that it left, got another {wrong} in the store; "
            f"bertlab sync corrects it where the run's own files are, else {remedy}"
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
    """Return the recorded hashes of the copied files and of all files below the same names; "" for missing ones."""
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


@dataclass(frozen=True)
class Origin:
    """What a result depends on."""

    name: str  # for display
    config: Mapping[str, Any]
    data: str  # fingerprint
    identity: Identity
    modules: Mapping[str, str]  # hashes of the used code by module; empty if not recorded
    finished: bool


def origin_of(client: "MlflowClient", run: str) -> Origin:
    """Return what the result of a run depends on. `run` is its id, the beginning of only one id, or latest.

    Raises InputError for a run that does not exist, or whose files changed.
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
    """Return the hashes of the code that a run used, empty if not recorded. Raises InputError for a damaged file."""
    if not path.is_file():
        return {}
    try:
        return {str(name): str(own) for name, own in json.loads(path.read_text("utf-8"))["code"].items()}
    except (*DAMAGE, AttributeError) as error:
        raise InputError(f"run={run_id} must have kept its {ORIGIN}, got a damaged one in the store; {MEND}") from error
