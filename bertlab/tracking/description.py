"""What a run is and where it was started: for people who look at it, and as tags by which it is found.

Leaves: a name, parameters and tags, and for a store the user, the host, the commit of bertlab and the installed
packages, as MLflow names them, so that its pages show them. The latter stay in the store: a run's own files name no
machine, and the process that uploads a run later did not start it.
"""

import getpass
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bertlab.config.cache import digest
from bertlab.config.redact import redacted

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PARENT, KIND = "mlflow.parentRunId", "bertlab.kind"
KEY, CODE, ENVIRONMENT = "bertlab.key", "bertlab.code", "bertlab.environment"  # by which a finished run is found
NOTE = "mlflow.note.content"  # markdown that the UI shows above a run
TOKEN = "bertlab.cell"  # the run's token, the same in every store
SWEEP_KEY = "bertlab.sweep"  # of a sweep's own run: hash of the sweep, the same for every call of the command
OPENED = "bertlab.opened"  # of a sweep's own run: time of the last call, in ms
RESTARTS = "bertlab.restarts"  # how often a run was restarted after its process ended without a result
FILES = "bertlab.files"  # JSON: the SHA-256 of each file of a finished run, as in its record
SETTINGS = "bertlab.config"  # hash of the settings in config.yaml
LEFT = "bertlab.curves"  # SHA-256 of the file of curves of a finished run in the store
NAME = "mlflow.runName"
ALSO = "bertlab.also."  # followed by the id of a sweep that reused the run
OUTCOME = "eval/mlm_loss"  # MLflow compares runs by the metric that was sent first, until the user chooses another
NOTED = {"model": "model", "data": "corpus", "budget.tokens": "tokens", "optimizer.lr": "learning rate", "seed": "seed"}
TEXT_LIMIT = 5000  # characters of a tag or parameter
CHECKOUT = Path(__file__).parents[2]  # the checkout, where bertlab is used from one
SOURCE, PATCH, PACKAGES = "source", "uncommitted.patch", "requirements.txt"  # names of artifacts
GIT_SECONDS = 10.0  # seconds that git may take
LONGEST_PATCH = 1_000_000  # characters of a patch that are kept


@dataclass(frozen=True)
class Dataset:
    """What a run was trained on, named as MLflow names it."""

    name: str
    digest: str
    source_type: str
    source: str
    profile: str


@dataclass(frozen=True)
class Description:
    """Description of a run."""

    name: str
    params: Mapping[str, str]  # the factors and the few main settings
    tags: Mapping[str, str]
    config: str  # the full configuration, YAML
    data: Dataset
    origin: Mapping[str, Any] = field(default_factory=dict)  # hashes of the used code by module, and the environment


def note(about: Mapping[str, Any]) -> str:
    """Return the markdown that the UI shows above a run; `about` is its description as plain values."""
    params, tags = about["params"], about["tags"]
    known = [f"{words} {params[key]}" for key, words in NOTED.items() if key in params]
    lines = [f"**{about['name']}**: {', '.join(known)}."]
    told = {"bertlab.data": "Data", "bertlab.evaluation": "Scored on"}
    lines += [f"{words}: {tags[key]}." for key, words in told.items() if key in tags]
    return "\n\n".join([*lines, "All settings: *Artifacts*, `config.yaml`."])


@dataclass(frozen=True)
class Identity:
    """What a result depends on: `environment` in words, "" if it was not recorded."""

    key: str
    code: str
    environment: str

    @property
    def made_in(self) -> str:
        """Hash of the environment, part of a folder's name; "" if not recorded."""
        return digest(self.environment)[:8] if self.environment else ""

    def as_reused(self, reuse: str) -> tuple[str, ...]:
        """Return the fields that must be equal to reuse a run for another one, under `tracking.reuse`."""
        return {"same": (self.key, self.code, self.environment), "code": (self.key, self.code)}.get(reuse, (self.key,))


def identity_of(tags: Mapping[str, str]) -> Identity:
    """Return the identity from a run's tags."""
    return Identity(tags.get(KEY, ""), tags.get(CODE, ""), tags.get(ENVIRONMENT, ""))


@cache
def source_tags() -> dict[str, str]:
    """Return the user, the host and the commit of this process."""
    commit = _git("rev-parse", "HEAD").strip()
    known = {"mlflow.source.name": "bertlab", "mlflow.source.type": "LOCAL", "bertlab.host": platform.node()}
    known |= {"mlflow.user": _user(), "mlflow.source.git.commit": commit}
    known |= {"bertlab.uncommitted": "true"} if commit and patch() else {}
    return {name: text for name, text in known.items() if text}


@cache
def patch() -> str:
    """Return git's diff since the commit, without what looks like a secret; "" if nothing changed."""
    return redacted(_git("diff", "HEAD"))[:LONGEST_PATCH]


@cache
def packages() -> str:
    """Return every installed distribution with its version, one per line."""
    found = {(each.metadata["Name"] or "").lower(): each.version for each in distributions()}
    return "".join(f"{name}=={found[name]}\n" for name in sorted(found) if name)


def log_source(client: "MlflowClient", run_id: str) -> None:
    """Log the installed packages to a run of a store, and the patch if the checkout was changed."""
    with TemporaryDirectory() as folder:
        for name, text in ((PACKAGES, packages()), (PATCH, patch())):
            if text:
                (Path(folder) / name).write_text(text, "utf-8")
        client.log_artifacts(run_id, folder, SOURCE)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id may have no name
        return ""


def _git(*words: str) -> str:
    if not (CHECKOUT / ".git").exists():
        return ""
    try:
        return subprocess.run(
            ["git", *words],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
            errors="replace",
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
