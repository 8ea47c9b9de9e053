"""Artifacts of a run in a store: lent as files, and compared with those that the run left."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bertlab.ledger.seal import file_hash, is_plain

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


@contextmanager
def fetched(client: "MlflowClient", uri: str) -> Iterator[Path]:
    """Lend a file or folder of artifacts: where it lies, else a copy. Every place of artifacts has its own errors."""
    from mlflow.artifacts import download_artifacts

    if uri.startswith(("file:", "/")):
        yield Path(download_artifacts(uri, tracking_uri=client.tracking_uri))
        return
    with TemporaryDirectory() as folder:
        yield Path(download_artifacts(uri, tracking_uri=client.tracking_uri, dst_path=folder))


def unlike(folder: Path, files: Mapping[str, str]) -> str | None:
    """Return the first of some files, by their SHA-256, that a folder has otherwise or not at all."""
    wrong = (name for name, own in sorted(files.items()) if not _is(folder / name, own))
    return next(wrong, None)


def _is(path: Path, own: str) -> bool:
    return is_plain(path) and file_hash(path) == own
