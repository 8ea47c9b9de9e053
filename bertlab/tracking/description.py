"""What a run is, for the people who will look at it, and the tags by which it is found. Knows no store."""

from collections.abc import Mapping
from dataclasses import dataclass

PARENT, KIND = "mlflow.parentRunId", "bertlab.kind"
TOKEN = "bertlab.cell"  # the run's token, the same one wherever it is recorded
FILES = "bertlab.files"  # JSON: the SHA-256 of each file that a finished run left, as its record has them
LEFT = "bertlab.curves"  # SHA-256 of the file of its curves that a finished run left in the store
OUTCOME = "eval/mlm_loss"  # MLflow compares runs by the metric that they sent first, until told otherwise
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
