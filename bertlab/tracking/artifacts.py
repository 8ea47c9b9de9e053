"""Artifacts of a run in a store: lent as files, and compared with those that the run left."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from bertlab.ledger.files import file_hash, is_plain

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


class Listed(NamedTuple):
    """An artifact: its name in its folder, and its size in bytes, None for a folder."""

    name: str
    size: int | None


@contextmanager
def fetched(client: "MlflowClient", uri: str) -> Iterator[Path]:
    """Lend a file or folder of artifacts: where it lies, else a copy. Every place of artifacts has its own errors."""
    from mlflow.artifacts import download_artifacts

    if uri.startswith(("file:", "/")):
        yield Path(download_artifacts(uri, tracking_uri=client.tracking_uri))
        return
    with TemporaryDirectory() as folder:
        yield Path(download_artifacts(uri, tracking_uri=client.tracking_uri, dst_path=folder))


def holds(client: "MlflowClient", uri: str, folder: Path) -> bool:
    """Tell whether a folder of artifacts has the files of a folder to the byte; only what it seems to have is read."""
    files = [path for path in folder.glob("*") if path.is_file()]
    sizes = {path.name: path.stat().st_size for path in files}
    if not sizes.items() <= {found.name: found.size for found in listed(client, uri)}.items():
        return False
    with fetched(client, uri) as there:
        return unlike(there, {path.name: file_hash(path) for path in files}) is None


def listed(client: "MlflowClient", uri: str) -> list[Listed]:
    """Return what a folder of artifacts has; nothing where there is no such folder."""
    from mlflow.artifacts import list_artifacts

    return [
        Listed(PurePosixPath(found.path).name, found.file_size)
        for found in list_artifacts(uri, tracking_uri=client.tracking_uri)
    ]


def unlike(folder: Path, files: Mapping[str, str]) -> str | None:
    """Return the first of some files, by their SHA-256, that a folder has otherwise or not at all."""
    wrong = (name for name, own in sorted(files.items()) if not _is(folder / name, own))
    return next(wrong, None)


def _is(path: Path, own: str) -> bool:
    return is_plain(path) and file_hash(path) == own
