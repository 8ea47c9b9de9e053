"""How a job of a sweep ended. A module of its own: `python -m bertlab.run` and its workers must mean the same class."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The job's overrides, and None or the line that says why it did not finish."""

    overrides: tuple[str, ...]
    error: str | None = None
