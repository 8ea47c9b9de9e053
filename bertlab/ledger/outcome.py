"""How a job of a sweep ended. A module of its own: `python -m bertlab.run` and its workers must mean the same class."""

from dataclasses import dataclass

NOT_RUN = "not run: "


class TerminatedError(Exception):
    """The process of one job was told to end, and not the sweep."""


@dataclass(frozen=True)
class Outcome:
    """The job's overrides, None or the line that says why it did not finish, and what it reached, in words."""

    overrides: tuple[str, ...]
    error: str | None = None
    reached: str = ""

    @property
    def status(self) -> str:
        """How it ended, in a word or two."""
        if self.error:
            return NOT_RUN.rstrip(": ") if self.error.startswith(NOT_RUN) else "failed"
        return next((word for word in ("reused", "diverged") if self.reached.startswith(word)), "finished")
