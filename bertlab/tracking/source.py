"""Where a run was started: the user, the host, the program, the commit of bertlab, and the packages beside it.

Leaves: tags and files for a store, in MLflow's own words, so that its pages show them. They stay in the store: a run's
own files name no machine, and a run that another process brings later was not started by that one.
"""

import getpass
import platform
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bertlab.config.redact import redacted

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ROOT = Path(__file__).parents[2]  # the checkout, where bertlab is used from one
FOLDER, PATCH, PACKAGES = "source", "uncommitted.patch", "requirements.txt"  # of artifacts
PATIENCE = 10.0  # seconds that git may take
LONGEST = 1_000_000  # characters of a patch that are kept


@cache
def source_tags() -> dict[str, str]:
    """Return who started this process, where, and of which commit."""
    commit = _git("rev-parse", "HEAD").strip()
    known = {"mlflow.source.name": "bertlab", "mlflow.source.type": "LOCAL", "bertlab.host": platform.node()}
    known |= {"mlflow.user": _user(), "mlflow.source.git.commit": commit}
    known |= {"bertlab.uncommitted": "true"} if commit and patch() else {}
    return {name: text for name, text in known.items() if text}


@cache
def patch() -> str:
    """Return what git says has changed since the commit, without what looks like a secret; "" where nothing has."""
    return redacted(_git("diff", "HEAD"))[:LONGEST]


@cache
def packages() -> str:
    """Return every installed distribution with its version, a line each."""
    found = {(each.metadata["Name"] or "").lower(): each.version for each in distributions()}
    return "".join(f"{name}=={found[name]}\n" for name in sorted(found) if name)


def log_source(client: "MlflowClient", run_id: str) -> None:
    """Leave the packages with a run of a store, and the patch where the checkout was changed."""
    with TemporaryDirectory() as folder:
        for name, text in ((PACKAGES, packages()), (PATCH, patch())):
            if text:
                (Path(folder) / name).write_text(text, "utf-8")
        client.log_artifacts(run_id, folder, FOLDER)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return ""


def _git(*words: str) -> str:
    if not (ROOT / ".git").exists():
        return ""
    try:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True, errors="replace"
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
