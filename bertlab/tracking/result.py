"""The result of a run, and how a job of a sweep ended, as values; the commands write sentences about them.

A separate module: `python -m bertlab.run` and its workers must refer to the same classes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NOT_RUN = "not run"  # status of a job that was given up before it began


class TerminatedError(Exception):
    """The process of one job, not of the sweep, got the signal to end."""


class LostError(Exception):
    """A job left no result; its launcher reports what it knows about that."""


class CancelledError(Exception):
    """Someone cancelled one job; it is not launched again."""


@dataclass(frozen=True)
class RunResult:
    """Result of a run without an error. `metrics` has the last value of each metric.

    `folder` is the run's folder, None for a run that is only in a store. For a reused run, `other_code` and
    `other_environment` name its code and environment if they differ from the requested ones.
    """

    run_id: str
    status: str  # finished or diverged
    metrics: Mapping[str, float]
    folder: Path | None
    reused: bool = False
    other_code: str = ""
    other_environment: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; `from_json` reads them."""
        return {**asdict(self), "folder": str(self.folder) if self.folder else None}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "RunResult":
        """Return the result with the fields that `as_json` returned."""
        return cls(**{**fields, "folder": Path(fields["folder"]) if fields["folder"] else None})


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its overrides, and the line with its error or its result.

    `started`: false if it was given up before it began. `lost` counts how often its process was lost before. `where`:
    the lines that show where to see a single run.
    """

    overrides: tuple[str, ...]
    error: str | None = None
    result: RunResult | None = None
    lost: int = 0
    where: str = ""
    started: bool = True

    def __float__(self) -> float:
        """Return the outcome by which runs are judged, for a search. Raises ValueError if there is none."""
        if not self.result or self.result.status != "finished":
            raise ValueError(self.error or "the run diverged")
        return self.result.metrics["eval/mlm_loss"]

    @property
    def status(self) -> str:
        """How it ended, in one or two words. A reused run that diverged counts as diverged."""
        if not self.started:
            return NOT_RUN
        if self.error:
            return "failed"
        if self.result and self.result.status != "finished":
            return self.result.status
        return "reused" if self.result and self.result.reused else "finished"
