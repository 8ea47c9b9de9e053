"""What a run is, for the people who will look at it, and the tags by which it is found. Knows no store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bertlab.config.cache import digest

PARENT, KIND = "mlflow.parentRunId", "bertlab.kind"
KEY, CODE, ENVIRONMENT = "bertlab.key", "bertlab.code", "bertlab.environment"  # what a finished run is found by
NOTE = "mlflow.note.content"  # markdown that the UI shows on top of a run
TOKEN = "bertlab.cell"  # the run's token, the same one wherever it is recorded
SWEEP_KEY = "bertlab.sweep"  # of a sweep's own run: what the sweep is, the same one whenever it is typed
OPENED = "bertlab.opened"  # of a sweep's own run: when it was typed last, in ms
RESTARTS = "bertlab.restarts"  # how often a run was started again after its process had ended without a result
FILES = "bertlab.files"  # JSON: the SHA-256 of each file that a finished run left, as its record has them
SETTINGS = "bertlab.config"  # hash of the settings in config.yaml
LEFT = "bertlab.curves"  # SHA-256 of the file of its curves that a finished run left in the store
OUTCOME = "eval/mlm_loss"  # MLflow compares runs by the metric that they sent first, until told otherwise
NOTED = {"model": "model", "data": "corpus", "budget.tokens": "tokens", "optimizer.lr": "learning rate", "seed": "seed"}
TEXT_LIMIT = 5000  # characters of a tag or parameter


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
    """A run in words."""

    name: str
    params: Mapping[str, str]  # the factors and the few settings that identify a run at a glance
    tags: Mapping[str, str]
    config: str  # the full configuration, YAML
    data: Dataset
    origin: Mapping[str, Any] = field(default_factory=dict)  # hashes of the code it uses by module, and its environment


def note(about: Mapping[str, Any]) -> str:
    """Return the markdown that the UI shows on top of a run; `about` is its description as plain values."""
    params, tags = about["params"], about["tags"]
    known = [f"{words} {params[key]}" for key, words in NOTED.items() if key in params]
    lines = [f"**{about['name']}**: {', '.join(known)}."]
    told = {"bertlab.data": "Data", "bertlab.evaluation": "Scored on"}
    lines += [f"{words}: {tags[key]}." for key, words in told.items() if key in tags]
    return "\n\n".join([*lines, "All settings: *Artifacts*, `config.yaml`."])


@dataclass(frozen=True)
class Identity:
    """What a result depends on: `environment` in words, "" where it was not recorded."""

    key: str
    code: str
    environment: str

    @property
    def made_in(self) -> str:
        """The hash of the environment, by which a folder is named; "" where none was recorded."""
        return digest(self.environment)[:8] if self.environment else ""

    def as_reused(self, reuse: str) -> tuple[str, ...]:
        """Return what must be equal for a run to stand for another one, by `tracking.reuse`."""
        return {"same": (self.key, self.code, self.environment), "code": (self.key, self.code)}.get(reuse, (self.key,))


def identity_of(tags: Mapping[str, str]) -> Identity:
    """Return the identity that a run's tags tell."""
    return Identity(tags.get(KEY, ""), tags.get(CODE, ""), tags.get(ENVIRONMENT, ""))
