"""What a run reached, and how a job of a sweep ended, as values; sentences about them are made by the commands.

A module of its own: `python -m bertlab.run` and its workers must mean the same classes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NOT_RUN = "not run: "


class TerminatedError(Exception):
    """The process of one job got the order to end, and not the sweep."""


class LostError(Exception):
    """A job left no result; its launcher says what it knows of that."""


class CancelledError(Exception):
    """Somebody cancelled one job; it is not launched again."""


@dataclass(frozen=True)
class RunResult:
    """A run that has ended well. `metrics` holds the last value of each.

    `folder` is the run's cell, None for a run that a store alone has. Of a run that is reused, `other_code` and
    `other_environment` name what made it where that is not what was asked for.
    """

    run_id: str
    status: str  # finished or diverged
    metrics: Mapping[str, float]
    folder: Path | None
    reused: bool = False
    other_code: str = ""
    other_environment: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them; `from_json` reads them."""
        return {**asdict(self), "folder": str(self.folder) if self.folder else None}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "RunResult":
        """Return what `as_json` returned the fields of."""
        return cls(**{**fields, "folder": Path(fields["folder"]) if fields["folder"] else None})


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its overrides, and the line that says why it did not finish, or what it reached.

    `lost` counts how often its process went away before. `where`: the lines that show where to look at a run that was
    alone.
    """

    overrides: tuple[str, ...]
    error: str | None = None
    result: RunResult | None = None
    lost: int = 0
    where: str = ""

    def __float__(self) -> float:
        """Return the loss that runs are judged by, for what searches by it. Raises ValueError where there is none."""
        if not self.result or self.result.status != "finished":
            raise ValueError(self.error or "the run diverged")
        return self.result.metrics["eval/mlm_loss"]

    @property
    def status(self) -> str:
        """How it ended, in a word or two. A diverged run that is reused is diverged."""
        if self.error:
            return NOT_RUN.rstrip(": ") if self.error.startswith(NOT_RUN) else "failed"
        if self.result and self.result.status != "finished":
            return self.result.status
        return "reused" if self.result and self.result.reused else "finished"
